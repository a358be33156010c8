from keras_atinet.layers import BilinearResizing, ConvBlock
from keras_atinet.models.segnet import width_at


def unet(levels, filters, decoder_filters=None, dtype=None, bottleneck=None, name="decoder"):
    """From the deepest level to the finest: resize to the next level's size, join it, convolve.

    `u_j = [resize(d_(j+1)), q_j]`, side by side in the channels; `d_j = block(block(u_j))`, two
    ConvBlocks; `d` starts as the bottleneck.

    Args:
        levels: list of `Level`, finest first.
        filters: five ints, the network's widths.
        decoder_filters: optional ints, the width of each `d_j`, finest first. Defaults to those
            of the network at half the stride, as in SegNet.
        dtype: dtype policy of the layers.
        bottleneck: KerasTensor to start from. Defaults to the deepest level's `q`.
        name: str, prefix of the layers' names.

    Returns:
        `upsampled` (`u_j`, each a list of two KerasTensors, as `Conv2D` takes them) and `outputs`
        (`d_j`), two lists from the finest level to the deepest but one.

    Reference: U-Net, Ronneberger et al., MICCAI 2015, with bilinear resizing.
    """
    *skips, deepest = levels
    widths = decoder_filters or [width_at(filters, max(level.stride // 2, 1)) for level in skips]
    x = deepest.last if bottleneck is None else bottleneck
    upsampled, outputs = [], []
    for level, width in reversed(list(zip(skips, widths, strict=True))):
        prefix = f"{name}_stride_{level.stride}"
        x = BilinearResizing(dtype=dtype, name=f"{prefix}_resizing")(x, level.last)
        upsampled.append([x, level.last])
        x = ConvBlock(width, dtype=dtype, name=f"{prefix}_1")(upsampled[-1])
        x = ConvBlock(width, dtype=dtype, name=f"{prefix}_2")(x)
        outputs.append(x)
    return upsampled[::-1], outputs[::-1]
