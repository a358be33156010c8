from keras_atinet.layers import BilinearResizing, Conv2D, ConvBlock


def segformer(levels, filters, decoder_filters=None, dtype=None, name="decoder"):
    """All levels at once: project each to one width, resize to the finest, fuse with a 1x1 block.

    `d = block1x1([resize(conv1x1(q_1)), ..., resize(conv1x1(q_n))])`, side by side in the channels.

    Args:
        levels, filters, dtype, name: as for `unet`.
        decoder_filters: optional sequence of one int, the width. Defaults to `filters[2]`.

    Returns:
        KerasTensor `(batch, height, width, width of the decoder)`, of the finest level's size.

    Reference: SegFormer, Xie et al., NeurIPS 2021, section 3.2.
    """
    (width,) = decoder_filters or (filters[2],)
    resized = []
    for level in levels:
        prefix = f"{name}_stride_{level.stride}"
        x = Conv2D(width, 1, dtype=dtype, name=f"{prefix}_projection")(level.last)
        if level is not levels[0]:
            x = BilinearResizing(dtype=dtype, name=f"{prefix}_resizing")(x, levels[0].last)
        resized.append(x)
    return ConvBlock(width, 1, dtype=dtype, name=f"{name}_fusion")(resized)
