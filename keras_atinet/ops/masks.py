from keras import ops


def any_pixel(mask):
    """Whether a pixel of each image is True, from a boolean `(batch, height, width)`."""
    # Keras 3.12 to 3.14 take no more than one axis on PyTorch.
    return ops.any(ops.any(mask, axis=2), axis=1)


def weighted_mean(loss, y_true, y_pred, weight):
    """A loss that averages with the weights of the pixels, and is 0 where all of them are 0.

    On PyTorch, Keras 3.12 to 3.14 give the mean over no pixel at all a gradient of NaN.
    """
    is_weighted = ops.any(weight != 0)
    safe = ops.where(is_weighted, weight, ops.ones_like(weight))
    value = loss(y_true, y_pred, safe)
    return ops.where(is_weighted, value, ops.zeros_like(value))
