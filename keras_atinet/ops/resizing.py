import numpy as np
from keras import ops


def upsample_align_corners(inputs):
    """Bilinear upsampling by 2 that keeps the corner pixels at the corners.

    Along an axis of size n, output i samples the input at `i (n - 1) / (2n - 1)`. For i = 2k that
    is `k / (2n - 1)` before pixel k, for i = 2k + 1 it is `(n - 1 - k) / (2n - 1)` behind it, so
    every output mixes a pixel with one neighbour and no gather is needed.

    Args:
        inputs: float tensor `(batch, height, width, channels)`.

    Returns:
        `(batch, 2 * height, 2 * width, channels)`, dtype of `inputs`.
    """
    return _upsample_axis(_upsample_axis(inputs, axis=1), axis=2)


def _upsample_axis(inputs, axis):
    shape = list(inputs.shape)
    size = shape[axis]
    first, but_last, but_first, last = (
        inputs[(slice(None),) * axis + (part,)]
        for part in (slice(0, 1), slice(0, -1), slice(1, None), slice(-1, None))
    )
    before = ops.concatenate([first, but_last], axis=axis)
    behind = ops.concatenate([but_first, last], axis=axis)

    def share(values):
        values = np.asarray(values, "float32").reshape([-1] + [1] * (len(shape) - 1 - axis))
        return ops.cast(values, inputs.dtype)

    k = np.arange(size)
    even = inputs + share(k / (2 * size - 1)) * (before - inputs)
    odd = inputs + share((size - 1 - k) / (2 * size - 1)) * (behind - inputs)
    shape[0], shape[axis] = -1, 2 * size
    return ops.reshape(ops.stack([even, odd], axis=axis + 1), shape)
