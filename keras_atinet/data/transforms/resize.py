"""Resizes a sample."""

import functools

import numpy as np

from keras_atinet.data.kinds import array_kind


def resize(sample, image_size, tasks=None):
    """Resizes every array of a sample.

    Images are resampled with an antialiased triangle filter. Labels and depth take the nearest
    pixel, so that edges get no value in between; depth is not scaled, because a resized image shows
    the same scene from the same place. Normals are the filtered mean of the known normals,
    renormalised; a pixel is ignored where most of its support is.

    Args:
        sample: dict of arrays.
        image_size: `(height, width)` in pixels.
        tasks: optional dict, task key -> facts, as in `Source.tasks`; as for `mirror`.

    Returns:
        dict of arrays; those of the right size are passed on as they are.
    """
    size = tuple(image_size)
    return {
        key: value if value.shape[:2] == size else _RESAMPLERS[array_kind(key, tasks)](value, size)
        for key, value in sample.items()
    }


@functools.lru_cache(maxsize=64)
def _triangle_taps(length, new_length):
    # Pixels (taps, new_length) under the triangle around each new pixel, and their weights.
    scale = length / new_length
    reach = max(scale, 1.0)
    centers = (np.arange(new_length) + 0.5) * scale - 0.5
    taps = np.ceil(centers - reach).astype(int) + np.arange(int(2 * reach) + 1)[:, None]
    weights = np.maximum(1.0 - np.abs(taps - centers) / reach, 0.0)
    weights *= (taps >= 0) & (taps < length)
    weights /= weights.sum(axis=0)
    return np.clip(taps, 0, length - 1), weights.astype(np.float32)


def resample(value, size):
    """An array `(height, width, channels)` at another size, by an antialiased triangle filter.

    That is bilinear interpolation where the size grows.
    """
    if value.shape[:2] == size:
        return value
    return resampled_rows(value, size, slice(None))


def resampled_rows(value, size, rows):
    """Some rows, a slice of them, of what `resample` gives."""
    taps, weights = (table[:, rows] for table in _triangle_taps(value.shape[0], size[0]))
    columns, column_weights = _triangle_taps(value.shape[1], size[1])
    tall = sum(value[tap] * w[:, None, None] for tap, w in zip(taps, weights, strict=True))
    return sum(tall[:, tap] * w[:, None] for tap, w in zip(columns, column_weights, strict=True))


def _nearest(value, size):
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for old, new in zip(value.shape, size, strict=False)
    )
    return value[rows[:, None], columns]


def _resized_image(value, size):
    return np.clip(resample(value, size), 0.0, 1.0)


def _resized_vectors(value, size):
    known = np.linalg.norm(value, axis=-1, keepdims=True) > 0.5
    # The last channel counts the known ones.
    weighted = np.concatenate([np.where(known, value, 0), known], axis=-1, dtype=np.float32)
    filtered = resample(weighted, size)
    mean, support = filtered[..., :3], filtered[..., 3:]
    length = np.linalg.norm(mean, axis=-1, keepdims=True)
    valid = (support >= 0.5) & (length > 1e-3)
    return np.where(valid, mean / np.maximum(length, 1e-3), 0).astype(np.float32)


_RESAMPLERS = {
    "image": _resized_image,
    "segmentation": _nearest,
    "depth": _nearest,
    "quantity": _nearest,
    "normal": _resized_vectors,
}
