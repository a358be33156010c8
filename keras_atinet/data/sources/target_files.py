"""Readers of one file, a target of a sample."""

import functools

import numpy as np

from keras_atinet.data.rules import MAX_CLASSES
from keras_atinet.data.sources.cleaning import finite, float32, unit_vectors
from keras_atinet.data.sources.pictures import (
    Stored,
    damaged,
    open_filled,
    read_stored,
    stored_size,
)
from keras_atinet.tasks.semantic_segmentation import ignored_labels

IGNORED = -1


def read_labels(path, facts):
    """Reads class indices: `as_classes` of `stored_labels`."""
    return as_classes(stored_labels(path), facts, path)


def stored_labels(path):
    """Reads the numbers of a mask as they are stored.

    Args:
        path: `pathlib.Path` of a picture with one channel or a palette, whose indices are the
            labels, or of an integer `.npy` file.

    Returns:
        `(H, W)` array of integers.

    Raises:
        ValueError: if the file is damaged, is a JPEG, or has no integers in one channel.
    """
    stored = _decode(path)
    fix = "Save the numbers of the classes, not their colours: a PNG in grey or with a palette."
    if stored.is_lossy:
        raise ValueError(f"JPEG does not keep class indices as they are. Received: '{path}'. {fix}")
    labels = _with_channels(stored.array, path, 1, "class indices in one channel", fix)[..., 0]
    if labels.dtype.kind not in "bui":
        raise _unexpected(path, "integer class indices", labels, fix)
    return labels


def as_classes(stored, facts, path):
    """The classes that stored labels stand for.

    Args:
        stored: `(H, W)` array of integers.
        facts: dict with optionally `num_classes` and `ignore_class`, or with `values`, a dict from
            str of a stored label to a class or None. Without `values`, a label is its class.
        path: `pathlib.Path` of the file, for the error.

    Returns:
        `(H, W)` int32, -1 where a label is ignored: -1 itself, what `values` maps to None, or
        else those of `ignored_labels`.

    Raises:
        ValueError: if there is a label that stands for no class.
    """
    if "values" in facts:
        return _by_values(stored, facts["values"], path)
    num_classes = facts.get("num_classes", MAX_CLASSES)
    # Of a number of classes that is not known yet, 255 is no class.
    ignored_values = ignored_labels(facts.get("num_classes", 0), facts.get("ignore_class"))
    ignored = functools.reduce(np.logical_or, (stored == value for value in ignored_values))
    wrong = stored[((stored < 0) | (stored >= num_classes)) & ~ignored]
    if wrong.size:
        raise ValueError(
            f"Classes must be in [0, {num_classes}) or ignored, one of {ignored_values}. "
            f"Received: class {wrong[0]} in '{path}', num_classes={num_classes}. "
            "State the right `num_classes` and `ignore_class` in dataset.json."
        )
    return np.where(ignored, np.int32(IGNORED), stored.astype(np.int32))


def _by_values(stored, values, path):
    classes = {IGNORED: IGNORED}
    classes |= {int(label): IGNORED if c is None else c for label, c in values.items()}
    labels = np.array(sorted(classes))
    places = np.searchsorted(labels, stored).clip(max=len(labels) - 1)
    wrong = stored[labels[places] != stored]
    if wrong.size:
        raise ValueError(
            f"Every label must be among the `values` of dataset.json, {list(values)}. "
            f"Received: {wrong[0]} in '{path}'. Map it to a class there, or to null to ignore it."
        )
    return np.array([classes[label] for label in labels.tolist()], np.int32)[places]


def read_depth(path, facts):
    """Reads depth.

    Args:
        path: `pathlib.Path` of a picture with one channel, or of a `.npy` file. Floats (of TIFF or
            `.npy`) are in metres already.
        facts: dict with optionally `scale`, metres per unit of an integer file (default 0.001 for
            16 bits and more), and `missing`, the value of ignored pixels.

    Returns:
        `(H, W, 1)` float32 metres; ignored, not finite or not positive values become 0.

    Raises:
        ValueError: if the file is damaged, or has 8 bits and no stated scale.
    """
    fix = "Save millimetres as PNG of 16 bits, or metres as float TIFF or .npy."
    file = _decode(path)
    stored = _with_channels(file.array, path, 1, "depth in one channel", fix)
    if file.mode == "P":
        raise _unexpected(path, "depth, not indices of a palette", stored, fix)
    if stored.dtype.kind == "f":
        scale = 1.0
    elif stored.dtype.kind in "ui" and (stored.dtype.itemsize > 1 or "scale" in facts):
        scale = facts.get("scale", 0.001)
    else:
        raise _unexpected(path, "16-bit millimetres (or `scale` in dataset.json)", stored, fix)
    depth = float32(stored) * np.float32(scale)
    known = np.isfinite(depth) & (depth > 0) & (stored != facts.get("missing", 0))
    return np.where(known, depth, np.float32(0))


def read_normals(path, facts):
    """Reads surface normals.

    Args:
        path: `pathlib.Path` of an RGB picture with `round((n + 1) * 127.5)`, or of a float `.npy`
            file with the vectors themselves.
        facts: dict, not used.

    Returns:
        `(H, W, 3)` float32 unit vectors; those shorter than 0.5 or not finite become zero.

    Raises:
        ValueError: if the file is damaged or has not three channels.
    """
    fix = "Save RGB of 8 bits, round((n + 1) * 127.5), or the vectors as .npy."
    stored = _with_channels(_decode(path).array, path, 3, "normals in three channels", fix)
    if stored.dtype.kind == "f":
        vectors = finite(stored)
    elif stored.dtype == np.uint8:
        vectors = stored.astype(np.float32) / np.float32(127.5) - 1.0
    else:
        raise _unexpected(path, "normals as 8-bit RGB or float vectors", stored, fix)
    return unit_vectors(vectors)


def read_quantity(path, facts):
    """Reads floats of another kind than depth and normals.

    Args:
        path: `pathlib.Path` of a float `.npy` file.
        facts: dict with `channels`.

    Returns:
        `(H, W, channels)` float32; what is not finite becomes 0.

    Raises:
        ValueError: if the file is damaged, has no floats or not so many channels.
    """
    expected = f"floats in {facts['channels']} channels"
    fix = "Save a float array as .npy."
    stored = _with_channels(_decode(path).array, path, facts["channels"], expected, fix)
    if stored.dtype.kind != "f":
        raise _unexpected(path, expected, stored, fix)
    return finite(stored)


def target_size(path):
    """Returns `(height, width)` of a target from its header alone."""
    return _mapped(path).shape[:2] if _is_array(path) else stored_size(path)[0]


def _decode(path):
    # Mapped, because a header may ask for more memory than there is.
    return Stored(np.array(_mapped(path))) if _is_array(path) else read_stored(path)


def _is_array(path):
    return path.suffix.lower() == ".npy"


def _mapped(path):
    open_filled(path).close()
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise damaged(path, error) from error


def _with_channels(array, path, channels, expected, fix):
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] != channels:
        raise _unexpected(path, expected, array, fix)
    return array


def _unexpected(path, expected, array, fix):
    return ValueError(
        f"Expected {expected}. Received: '{path}' with shape {array.shape} and dtype "
        f"{array.dtype}. {fix}"
    )
