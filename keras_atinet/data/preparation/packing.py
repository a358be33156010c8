"""Packs arrays of a sample into fewer bytes."""

import numpy as np

_STEPS = {"image": np.float32(255), "normal": np.float32(32767)}


def packed_dtype(kind, facts=None):
    """The dtype in which `pack` keeps an array.

    Args:
        kind: `"image"` or a kind of target, see `kind_of`.
        facts: optional dict, what a source says about the task; `num_classes` of labels counts.

    Returns:
        NumPy dtype: uint8 for images, int16 for normals, the narrowest signed integer for labels,
        float32 for anything else.
    """
    if kind == "segmentation":
        num_classes = (facts or {}).get("num_classes", 2**31)
        return np.min_scalar_type(-num_classes)
    return np.dtype({"image": "uint8", "normal": "int16"}.get(kind, "float32"))


def pack(value, kind, dtype):
    """`round(steps * value)`: 255 steps for images, 32767 for normals; all else is only cast.

    Values slightly out of range are clipped, so that nothing wraps around.

    Args:
        value: NumPy array of a sample.
        kind: `"image"` or a kind of target.
        dtype: what `packed_dtype` says.

    Returns:
        NumPy array of the same shape.
    """
    if kind in _STEPS:
        limits = np.iinfo(dtype)
        value = np.clip(np.rint(value * _STEPS[kind]), limits.min, limits.max)
    return value.astype(dtype)


def unpack(packed, kind):
    """The inverse of `pack`, exact to half a step.

    Args:
        packed: NumPy array.
        kind: `"image"` or a kind of target.

    Returns:
        New NumPy array of the same shape, int32 for labels, else float32.
    """
    if kind == "segmentation":
        return packed.astype(np.int32)
    value = packed.astype(np.float32)
    if kind in _STEPS:
        value /= _STEPS[kind]
    return value
