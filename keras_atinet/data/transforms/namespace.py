"""One way to write a transform for arrays and for tensors."""

import numpy as np
from keras import ops


def namespace(value):
    """`numpy` for NumPy arrays, `keras.ops` for tensors: they share the names used here."""
    return np if isinstance(value, np.ndarray) else ops


def per_channel(factors, width):
    """float32 array `(width, channels)` of factors, one row for each column of a picture.

    NumPy multiplies a picture by whole rows several times faster than by three numbers.
    """
    return np.tile(np.asarray(factors, np.float32), (width, 1))
