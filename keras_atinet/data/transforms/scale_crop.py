"""Zooms into a sample."""

import numpy as np

from keras_atinet.data.kinds import array_kind
from keras_atinet.data.transforms.namespace import namespace, per_channel


def scale_crop(sample, scale, position=(0.5, 0.5), tasks=None):
    """Enlarges a sample by `scale` and cuts out a window of the old size.

    A camera with the same focal length that sees the enlarged picture sees the point
    `(X, Y, Z)` at `(X, Y, Z / scale)`: depth is divided by `scale`, and a normal `(x, y, z)`
    becomes `(x, y, scale z)` of unit length, which is what the new depth gives. (MTAN's code keeps
    the normals. That is a lens `scale` times as long before a scene that shrank by `scale`.) The
    principal point moves with the picture: from `c` to `scale (c + 1/2 - start) - 1/2`, pixel
    centres at integers.

    Images are interpolated linearly. Targets take the nearest pixel: nothing is blended.

    Args:
        sample: dict of arrays or of tensors.
        scale: float, at least 1.
        position: `(vertical, horizontal)` in `[0, 1]`: 0 is the top or left edge, 1 the bottom or
            right one; the window starts at `start = position * (size - size / scale)`.
        tasks: optional dict, task key -> facts, as in `Source.tasks`. A task that it does not
            have is of the kind that its key begins with.

    Returns:
        dict of new arrays of the same shapes and dtypes.

    Raises:
        ValueError: if `scale` is less than 1.

    Example:

    >>> sample = {"depth": np.full((4, 6, 1), 3, "float32")}
    >>> scale_crop(sample, 1.5)["depth"][0, 0]
    array([2.], dtype=float32)
    """
    if scale < 1:
        raise ValueError(f"`scale` must be at least 1. Received: scale={scale}.")
    result = {}
    for key, value in sample.items():
        centers = [
            (np.arange(size) + 0.5 + where * size * (scale - 1)) / scale - 0.5
            for size, where in zip(value.shape[:2], position, strict=True)
        ]
        kind = array_kind(key, tasks)
        if kind == "image":
            result[key] = _interpolated(value, *centers)
            continue
        rows, columns = (np.rint(center).astype(np.int32) for center in centers)
        taken = _taken(_taken(value, rows, 0), columns, 1)
        result[key] = _SCALERS[kind](taken, scale) if kind in _SCALERS else taken
    return result


def _taken(value, indices, axis):
    return namespace(value).take(value, indices, axis=axis)


def _interpolated(value, rows, columns):
    for axis, centers in enumerate((rows, columns)):
        low = np.clip(np.floor(centers).astype(np.int32), 0, None)
        high = np.minimum(low + 1, value.shape[axis] - 1)
        weight = np.clip(centers - low, 0, 1).astype(np.float32)
        # Whole rows of weights: NumPy is slow where the last axis is short.
        weight = weight[:, None, None] if axis == 0 else weight[:, None].repeat(3, axis=1)
        first = _taken(value, low, axis)
        value = first + namespace(value).multiply(_taken(value, high, axis) - first, weight)
    return value


def _scaled_depth(depth, scale):
    return depth * np.float32(1 / scale)


def _scaled_normals(normal, scale):
    xp = namespace(normal)
    normal = xp.multiply(normal, per_channel([1, 1, scale], normal.shape[1]))
    square = xp.matmul(xp.square(normal), np.ones(3, np.float32))
    return normal * (1 / xp.sqrt(xp.maximum(square, 0.25)))[..., None]


_SCALERS = {"depth": _scaled_depth, "normal": _scaled_normals}
