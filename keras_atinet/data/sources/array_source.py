"""What all sources of plain arrays have in common."""

import contextlib
import functools

import numpy as np

from keras_atinet.data.nyuv2.classes import NYU13_TASKS
from keras_atinet.data.source import Source, chosen_tasks
from keras_atinet.data.sources.cleaning import finite, float32, unit_vectors
from keras_atinet.data.sources.normal_axes import as_matrix, matching_axes
from keras_atinet.files import one_line

_SAMPLES_FOR_AXES = 8


class ArraySource(Source):
    """A source whose files hold the numbers of NYUv2 themselves, as multi-task papers share them.

    Images are in [0, 1], classes are the 13 of NYUv2 with -1 = ignored, depth is in metres with
    0 = ignored. To derive from it, define `__len__`, `_array(index, key)`, which returns the
    array as it is stored or None where there is none, and `_where(index, key)`, which names its
    place in errors.

    Args:
        split: str.
        tasks: sequence of task keys.
        available: sequence of the task keys that can be read.
        normal_axes: three of `"x"`, `"-x"`, `"y"`, `"-y"`, `"z"` and `"-z"`, the stored
            component that each of x (right), y (down) and z (forward) is, or None to detect
            it from the depth.

    Attributes:
        normal_axes: tuple, as above; detected where the argument was None.
    """

    channels_first = False

    def __init__(self, split, tasks, available, normal_axes):
        self.tasks = {key: dict(NYU13_TASKS[key]) for key in chosen_tasks(tasks, available)}
        self.split = split
        if normal_axes is not None or "depth" not in available:
            self.normal_axes = ("x", "y", "z") if normal_axes is None else tuple(normal_axes)
            as_matrix(self.normal_axes)

    @functools.cached_property
    def normal_axes(self):
        step = max(1, len(self) // _SAMPLES_FOR_AXES)
        return matching_axes(self._geometry(range(0, len(self), step)))

    def __getitem__(self, index):
        sample, errors = self.read(index)
        if errors:
            raise errors[0]
        return sample

    def read(self, index):
        index = self._position(index)
        sample, errors = {}, []
        for key in ("image", *self.tasks):
            try:
                array = self._read(index, key, sample.get("image"))
            except ValueError as error:
                errors.append(error)
                continue
            if array is not None:
                sample[key] = array
        return sample, errors

    def _read(self, index, key, image):
        channels = {"image": 3, "depth": 1, "normal": 3}.get(key)
        array, where = self._stored(index, key, channels)
        if array is None:
            return None
        if image is not None and array.shape[:2] != image.shape[:2]:
            raise ValueError(
                "A target must be as large as its picture. Received: "
                f"{where} of {array.shape[:2]} for {image.shape[:2]} pixels."
            )
        if key == "image":
            return _image(array, where)
        if key == "segmentation":
            return _labels(array, where)
        return _depth(array) if key == "depth" else self._normals(array)

    def where(self, index):
        return self._where(index, "image")

    def _array(self, index, key):
        raise NotImplementedError(f"`{type(self).__name__}` does not define `_array`.")

    def _where(self, index, key):
        raise NotImplementedError(f"`{type(self).__name__}` does not define `_where`.")

    def _stored(self, index, key, channels):
        # The array with channels last, (H, W) for labels, and its place.
        where = f"{key!r} in {self._where(index, key)}"
        try:
            array = self._array(index, key)
        except Exception as error:
            raise ValueError(
                f"The array cannot be read; it may be cut short. Received: {where} "
                f"({one_line(error)}). Write or download it again, or remove it."
            ) from error
        if array is None and key != "image":
            return None, where
        stated = np.shape(array)
        if array is not None and channels and array.ndim == 3 and self.channels_first:
            array = np.moveaxis(array, 0, -1)
        if array is not None and channels == 1 and array.ndim == 2:
            array = array[..., None]
        expected = () if channels is None else (channels,)
        wrong = array is None or array.ndim < 2 or array.shape[2:] != expected or not array.size
        if wrong or array.dtype.kind not in "fiu":
            raise ValueError(
                f"Expected numbers in {channels or 'no'} channels. Received: {where} with shape "
                f"{stated} and dtype {getattr(array, 'dtype', None)}."
            )
        return array, where

    def _normals(self, array):
        vectors = unit_vectors(finite(array))
        return np.ascontiguousarray(vectors @ as_matrix(self.normal_axes).T) + np.float32(0)

    def _geometry(self, indices):
        # Every second pixel of depth and normals, to detect axes.
        for index in indices:
            # A damaged sample is reported when it is asked for, not by its neighbours.
            with contextlib.suppress(ValueError):
                depth, _ = self._stored(index, "depth", 1)
                normals, _ = self._stored(index, "normal", 3)
                if (
                    depth is not None
                    and normals is not None
                    and depth.shape[:2] == normals.shape[:2]
                ):
                    yield _depth(depth)[::2, ::2], unit_vectors(finite(normals))[::2, ::2]


def _image(array, where):
    image = float32(array)
    if array.dtype == np.uint8:
        return image / 255.0
    # Resampling may overshoot a little; more is another scale.
    if not (image.min() >= -0.1 and image.max() <= 1.1):
        raise ValueError(
            "An image must be RGB in [0, 1], or of 8 bits a channel. Received: "
            f"{where} with values in [{image.min()}, {image.max()}] and dtype {array.dtype}."
        )
    return np.clip(image, 0, 1)


def _labels(array, where):
    num_classes = NYU13_TASKS["segmentation"]["num_classes"]
    right = (array == np.rint(array)) & (array >= -1) & (array < num_classes)
    if not right.all():
        raise ValueError(
            f"Classes must be whole numbers in [0, {num_classes}), or -1 for missing. "
            f"Received: {array[~right][0]} in {where}."
        )
    return array.astype(np.int32)


def _depth(array):
    depth = finite(array)
    return np.where(depth > 0, depth, np.float32(0))
