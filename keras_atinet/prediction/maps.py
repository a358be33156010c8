"""From a network's prediction to a map at the picture's own size."""

import numpy as np

from keras_atinet.data.transforms.resize import resampled_rows

_STRIP = 2**21  # numbers of a prediction that are resized at once


def full_size_map(prediction, task, size):
    """A decoded prediction at another size.

    The prediction is resized before it is decoded, by bilinear interpolation (where the size
    shrinks, with an antialiased triangle filter), so that the borders of classes are smooth. It is
    done in strips of rows: beside the map itself little memory is needed.

    Args:
        prediction: array `(height, width, channels)` of a network, logits for instance.
        task: `Task`, whose `decode` is applied.
        size: `(H, W)` in pixels.

    Returns:
        array `(H, W)` or `(H, W, channels)`.
    """
    prediction = np.asarray(prediction, "float32")
    height, width = size
    step = max(1, _STRIP // (width * prediction.shape[-1]))
    result = None
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height))
        decoded = task.decode(resampled_rows(prediction, size, rows))
        if result is None:
            result = np.empty((height, *decoded.shape[1:]), decoded.dtype)
        result[rows] = decoded
    return result
