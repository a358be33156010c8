"""Checks a sample."""

import numpy as np

from keras_atinet.data.kinds import kind_of, missing_value

_SQUARED_LENGTH = 1e-3  # tolerance


def problems(sample, tasks):
    """Checks a sample against the contract of `Source`.

    Args:
        sample: dict of arrays.
        tasks: dict, task key -> facts, as in `Source.tasks`.

    Returns:
        dict, key -> str that names it and says what is wrong; empty for a good sample.

    Example:

    >>> sample = {"image": np.zeros((4, 6, 3), "float32"), "depth": -np.ones((4, 6, 1), "float32")}
    >>> problems(sample, {"depth": {}})
    {'depth': "'depth' must be finite and at least 0. Received: -1.0 to -1.0."}
    """
    if "image" not in sample:
        return {"image": "There is no 'image'."}
    size = np.shape(sample["image"])[:2]
    found = {"image": _image_problem(sample["image"], size)}
    for key in sample:
        if key in tasks:
            found[key] = _target_problem(key, sample[key], size, tasks[key])
        elif key != "image":
            found[key] = f"{key!r} is none of the source's tasks {list(tasks)}."
    return {key: problem for key, problem in found.items() if problem}


def _image_problem(image, size):
    pixel = np.zeros(3, np.float32)
    return _form_problem("image", image, size, pixel) or _range_problem("image", image, 0, 1)


def _target_problem(key, value, size, facts):
    kind = kind_of(key, facts)
    wrong = _form_problem(key, value, size, missing_value(key, facts))
    if wrong:
        return wrong
    if kind == "segmentation":
        return _range_problem(key, value, -1, facts.get("num_classes", 2**31) - 1)
    if kind == "normal":
        return _length_problem(key, value)
    low = 0 if kind == "depth" else np.finfo(np.float32).min
    return _range_problem(key, value, low, np.finfo(np.float32).max)


def _form_problem(key, value, size, pixel):
    shape, dtype = (*size, *pixel.shape), pixel.dtype
    if isinstance(value, np.ndarray) and (value.shape, value.dtype) == (shape, dtype):
        return None if value.size else f"{key!r} has no pixels. Received: shape {shape}."
    received = (np.shape(value), getattr(value, "dtype", type(value).__name__))
    return f"{key!r} must be {dtype} of shape {shape}. Received: {received[1]} of {received[0]}."


def _range_problem(key, value, low, high):
    lowest, highest = value.min(), value.max()
    # A comparison with NaN is false.
    if lowest >= low and highest <= high:
        return None
    if high == np.finfo(np.float32).max:
        expected = "finite" if low < 0 else "finite and at least 0"
    else:
        expected = f"in [{low}, {high}]"
    return f"{key!r} must be {expected}. Received: {lowest} to {highest}."


def _length_problem(key, value):
    # Several times as fast as a sum over an axis of three.
    squares = np.square(value) @ np.ones(3, np.float32)
    wrong = ~((np.abs(squares - 1) <= _SQUARED_LENGTH) | (squares == 0))
    if not wrong.any():
        return None
    return (
        f"{key!r} must be unit vectors, or zero where missing. Received: length "
        f"{np.sqrt(squares[wrong][0]):.3g} at {wrong.sum()} of {wrong.size} pixels."
    )
