"""The SegNet encoder and decoder that all the networks share."""

from keras_atinet.layers import ConvBlock, MaxPooling2DWithArgmax, MaxUnpooling2D

ENCODER_DEPTHS = (2, 2, 3, 3, 3)
DEFAULT_INPUT_SHAPE = (288, 384, 3)
DEFAULT_FILTERS = (64, 128, 256, 512, 512)


def segnet_encoder(x, filters, deep=False, dtype=None):
    """Five levels of 2, 2, 3, 3, 3 ConvBlocks, each followed by 2 x 2 max pooling.

    Args:
        x: KerasTensor `(batch, height, width, channels)`, height and width divisible by 32.
        filters: five ints, the width of each level, shallowest first.
        deep: bool, doubles every ConvBlock. Defaults to `False`.
        dtype: dtype policy of the layers.

    Returns:
        `first` (`p_j`, outputs of the first ConvBlock of each level), `last` (`q_j`, of the last),
        `argmax` (of each level's pooling), three lists from level 1 to 5; and the bottleneck
        `(batch, height / 32, width / 32, filters[4])`.
    """
    first, last, argmaxes = [], [], []
    for level in range(1, 6):
        outputs, x, argmax = segnet_level(x, level, filters, deep, dtype)
        first.append(outputs[0])
        last.append(outputs[-1])
        argmaxes.append(argmax)
    return first, last, argmaxes, x


def segnet_level(x, level, filters, deep=False, dtype=None, prefix=""):
    """One level of the encoder.

    Args:
        x: KerasTensor, the image or the pooled level before.
        level: int from 1 to 5.
        filters, deep, dtype: as for `segnet_encoder`.
        prefix: str, what the layers' names begin with. Defaults to `""`.

    Returns:
        The outputs of its ConvBlocks, a list; the last of them pooled; the argmax of the pooling.
    """
    widths = [filters[level - 1]] * ENCODER_DEPTHS[level - 1]
    outputs = _conv_blocks(x, widths, f"{prefix}encoder_{level}", deep, dtype)
    pool = MaxPooling2DWithArgmax(dtype=dtype, name=f"{prefix}pool_{level}")
    return outputs, *pool(outputs[-1])


def segnet_decoder(x, argmaxes, filters, deep=False, dtype=None, name="decoder"):
    """From level 5 up to 1: unpool with that level's argmax, then 3, 3, 3, 2, 2 ConvBlocks.

    A level's width is that of the encoder level above it: 512, 256, 128, 64, 64.

    Args:
        x: KerasTensor, what the deepest level unpools.
        argmaxes: list of the encoder's argmax tensors, level 1 to 5.
        filters: five ints, as for the encoder.
        deep: bool, doubles every ConvBlock. Defaults to `False`.
        dtype: dtype policy of the layers.
        name: str, prefix of the layers' names.

    Returns:
        `unpooled` (`u_j`) and `outputs` (`d_j`, the last of each level), lists from level 1 to 5.
    """
    unpooled, outputs = {}, {}
    for level in range(5, 0, -1):
        x = MaxUnpooling2D(dtype=dtype, name=f"{name}_unpool_{level}")(x, argmaxes[level - 1])
        unpooled[level] = x
        widths = [decoder_width(filters, level)] * ENCODER_DEPTHS[level - 1]
        x = outputs[level] = _conv_blocks(x, widths, f"{name}_{level}", deep, dtype)[-1]
    levels = range(1, 6)
    return [unpooled[level] for level in levels], [outputs[level] for level in levels]


def decoder_width(filters, level):
    """Width of a decoder level: that of the encoder level above it (512, 256, 128, 64, 64)."""
    return filters[max(level - 2, 0)]


def width_at(filters, stride):
    """Width of a network at a stride, a power of two: five ints, at 1, 2, 4, 8, and from 16 on."""
    return filters[min(stride.bit_length() - 1, 4)]


def _conv_blocks(x, widths, name, deep, dtype):
    outputs = []
    for index, width in enumerate(widths, 1):
        x = ConvBlock(width, dtype=dtype, name=f"{name}_{index}")(x)
        if deep:
            x = ConvBlock(width, dtype=dtype, name=f"{name}_{index}b")(x)
        outputs.append(x)
    return outputs
