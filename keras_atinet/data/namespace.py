"""One way to write a transform for arrays and for tensors."""

import numpy as np
from keras import ops


def namespace(value):
    """`numpy` for NumPy arrays, `keras.ops` for tensors: they share the names used here."""
    return np if isinstance(value, np.ndarray) else ops
