"""Turns stored numbers into valid values of a sample."""

import numpy as np

_SHORTEST_NORMAL = 0.5


def float32(array):
    """The array as float32; what is too large becomes infinite, without a warning."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def finite(array):
    """The array as float32; what is not finite becomes 0."""
    return np.nan_to_num(float32(array), copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def unit_vectors(vectors):
    """Scales vectors to unit length; those shorter than 0.5 become zero.

    Args:
        vectors: `(H, W, 3)` float32, finite.

    Returns:
        `(H, W, 3)` float32.
    """
    square = np.square(vectors) @ np.ones(3, np.float32)
    scale = (square >= _SHORTEST_NORMAL**2) / np.sqrt(np.maximum(square, _SHORTEST_NORMAL**2))
    return vectors * scale[..., None]
