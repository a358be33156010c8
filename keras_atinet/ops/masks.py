from keras import ops


def any_pixel(mask):
    """Whether a pixel of each image is True, from a boolean `(batch, height, width)`."""
    # Keras 3.12 to 3.14 take no more than one axis on PyTorch.
    return ops.any(ops.any(mask, axis=2), axis=1)
