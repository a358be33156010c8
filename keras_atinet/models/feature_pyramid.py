"""The features of an encoder from a stride on, all of which some networks read."""

from keras_atinet.layers import BilinearResizing, ConvBlock
from keras_atinet.models.encoders import Level
from keras_atinet.models.segnet import segnet_encoder, width_at

STRIDE = 4


def feature_pyramid(
    image,
    encoder,
    filters,
    stride=None,
    dtype=None,
    model="PADNet",
    argument="distillation_stride",
):
    """Levels of an encoder, by default SegNet's.

    On SegNet they are `q_j` of each level and, at stride 32, the bottleneck. Those of another
    encoder pass a 1x1 ConvBlock to the network's own width.

    Args:
        image: KerasTensor `(batch, height, width, channels)` in `[0, 1]`.
        encoder: `Encoder` or None, SegNet.
        filters: five ints, the widths at strides 1, 2, 4, 8, and from 16 on.
        stride: optional int: the levels have at least this stride. Defaults to 4, or that of the
            second deepest level if it is finer.
        dtype: dtype policy of the layers.
        model, argument: str, the names of network and stride to use in errors.

    Returns:
        List of at least two `Level`, finest first, whose `first` is `last`.

    Raises:
        ValueError: if fewer than two levels have such a stride.
    """
    if encoder is None:
        _, last, _, bottleneck = segnet_encoder(image, filters, dtype=dtype)
        features = dict(zip((1, 2, 4, 8, 16, 32), (*last, bottleneck), strict=True))
    else:
        features = {level.stride: level.last for level in encoder(image)}
    levels = levels_from([Level(key, x, x) for key, x in features.items()], stride, model, argument)
    return levels if encoder is None else [_projected(level, filters, dtype) for level in levels]


def levels_from(levels, stride, model, argument="distillation_stride"):
    """The levels from a stride on, see `feature_pyramid`."""
    strides = [level.stride for level in levels]
    if len(strides) < 2:
        raise ValueError(
            f"`{model}` needs an encoder of at least two levels. Received: one of the strides "
            f"{strides}. Name more of its layers with `encoder_features`."
        )
    if stride is None:
        stride = min(STRIDE, strides[-2])
    if isinstance(stride, bool) or not isinstance(stride, int) or not 1 <= stride <= strides[-2]:
        raise ValueError(
            f"`{argument}` of `{model}` must be an int that leaves at least two levels of "
            f"the encoder, whose strides are {strides}. "
            f"Received: {argument}={stride!r}. Use e.g. {strides[-2]}."
        )
    return [level for level in levels if level.stride >= stride]


def at_finest_size(levels, dtype=None, name="features"):
    """The features of all levels at the finest one's size, a list of KerasTensors, finest first."""
    finest, *others = levels
    resized = [
        BilinearResizing(dtype=dtype, name=f"{name}_stride_{level.stride}_resizing")(
            level.last, finest.last
        )
        for level in others
    ]
    return [finest.last, *resized]


def _projected(level, filters, dtype):
    width, name = width_at(filters, level.stride), f"projection_stride_{level.stride}"
    x = ConvBlock(width, 1, dtype=dtype, name=name)(level.last)
    return Level(level.stride, x, x)
