import keras

from keras_atinet.layers import BilinearResizing, ConvBlock
from keras_atinet.layers.batch_normalization import BatchNormalization
from keras_atinet.layers.conv_block import BATCH_NORM

RATES = (6, 12, 18)


def aspp(levels, filters, decoder_filters=None, dtype=None, name="decoder"):
    """Atrous spatial pyramid pooling over the deepest level, as DeepLabV3 has it.

    `d = block1x1([block1x1(q), a_6(q), a_12(q), a_18(q), resize(block1x1(mean(q)))])` with 3x3
    convolutions `a` of dilation 6, 12, 18, each with BatchNorm and ReLU, and the mean over all
    pixels. The published baseline dilates the last stages of its encoder too, so that the deepest
    level lies at stride 8 or 16. Without that it lies at stride 32: the same decoder, but coarser,
    and not that baseline.

    Args:
        levels, filters, dtype, name: as for `unet`.
        decoder_filters: optional sequence of one int, the width. Defaults to `filters[2]`.

    Returns:
        KerasTensor `(batch, height, width, width of the decoder)`, of the deepest level's size.

    Reference: DeepLabV3, Chen et al., 2017, section 3.3.
    """
    (width,) = decoder_filters or (filters[2],)
    x = levels[-1].last
    parts = [ConvBlock(width, 1, dtype=dtype, name=f"{name}_rate_1")(x)]
    parts += [_atrous(x, width, rate, dtype, f"{name}_rate_{rate}") for rate in RATES]
    mean = keras.layers.GlobalAveragePooling2D(
        data_format="channels_last", keepdims=True, dtype=dtype, name=f"{name}_mean"
    )(x)
    mean = ConvBlock(width, 1, dtype=dtype, name=f"{name}_pooled")(mean)
    parts.append(BilinearResizing(dtype=dtype, name=f"{name}_resizing")(mean, x))
    return ConvBlock(width, 1, dtype=dtype, name=f"{name}_fusion")(parts)


def _atrous(x, width, rate, dtype, name):
    # `Conv2D` of the layers here has no dilation.
    x = keras.layers.Conv2D(
        width,
        3,
        padding="same",
        dilation_rate=rate,
        use_bias=False,
        kernel_initializer="glorot_normal",
        data_format="channels_last",
        dtype=dtype,
        name=f"{name}_conv",
    )(x)
    x = BatchNormalization(**BATCH_NORM, dtype=dtype, name=f"{name}_norm")(x)
    return keras.layers.ReLU(dtype=dtype, name=name)(x)
