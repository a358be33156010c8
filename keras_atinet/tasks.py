"""Tasks: everything that differs between semantic classes, depth and normals, in one class each."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from keras_atinet import losses, metrics
from keras_atinet.ops import unit_vector

NYU13_CLASSES = {
    "bed": (0, 128, 192),
    "books": (128, 96, 32),
    "ceiling": (224, 224, 224),
    "chair": (192, 64, 64),
    "floor": (112, 80, 48),
    "furniture": (160, 128, 192),
    "objects": (224, 160, 32),
    "picture": (64, 160, 96),
    "sofa": (192, 96, 160),
    "table": (64, 96, 160),
    "tv": (32, 32, 64),
    "wall": (176, 192, 176),
    "window": (96, 192, 224),
}
MISSING_COLOR = (0, 0, 0)


class Task:
    """One thing to predict per pixel.

    A task is a name, a number of output channels, and the functions below. Subclass it to predict
    something new; every network, loss, metric, picture and command takes it from there.

    Args:
        name: str, the key of this task in outputs, targets and logs.
        channels: int, output channels of the prediction.
        averaging: `"pixel"` (metrics pool all pixels) or `"batch"` (metrics average the values of
            the batches, as the published tables do). Defaults to `"pixel"`.

    Raises:
        ValueError: if `name` is empty or `"image"`, or `channels` is not a positive integer.
    """

    target_dtype = "float32"
    missing_value = 0
    unit = ""

    def __init__(self, name, channels, averaging="pixel"):
        if not isinstance(name, str) or not name or name == "image" or "/" in name:
            raise ValueError(
                "`name` of a task must be a non-empty string other than 'image', without '/'. "
                f"Received: name={name!r}. Choose e.g. 'depth'."
            )
        if not isinstance(channels, (int, np.integer)) or channels < 1:
            raise ValueError(
                f"Task '{name}' needs a positive number of channels. Received: {channels!r}."
            )
        self.name = name
        self.channels = int(channels)
        self.averaging = averaging

    def __repr__(self):
        return f"{type(self).__name__}(name={self.name!r}, channels={self.channels})"

    def target_shape(self, height, width):
        """Shape of one target, without the batch: `(height, width, channels)`."""
        return (height, width, self.channels)

    def activation(self, x):
        """From the head's `(batch, height, width, channels)` float32 to the prediction."""
        return x

    def prepare(self, y_true):
        """Target and the mask of its valid pixels.

        Args:
            y_true: tensor `(batch, *target_shape)`; may hold anything at missing pixels.

        Returns:
            The target with harmless values at missing pixels, and a boolean tensor
            `(batch, height, width)`.
        """
        raise TypeError(f"`{type(self).__name__}` must define `prepare(y_true)`.")

    def loss(self):
        """A new `keras.losses.Loss` that averages over `sample_weight`."""
        raise TypeError(f"`{type(self).__name__}` must define `loss()`.")

    def metrics(self):
        """A list of new `keras.metrics.Metric`."""
        return []

    def constant(self, targets):
        """The constant prediction that fits some targets best, the bar for every network.

        Args:
            targets: array `(n, *channels of the target)`, the targets of valid pixels.

        Returns:
            Array `(channels,)`, a prediction after the activation.
        """
        raise TypeError(f"`{type(self).__name__}` must define `constant(targets)`.")

    def decode(self, y_pred):
        """From a prediction (NumPy) to the units of the target; classes from logits, say."""
        return y_pred

    def color_limits(self, target):
        """`(low, high)` for `colorize`, or `None` where its colours span no range.

        Args:
            target: array `(height, width[, channels])`.
        """
        return None

    def colorize(self, target, limits=None):
        """A picture of a target or of a decoded prediction.

        Args:
            target: array `(height, width[, channels])`.
            limits: optional `(low, high)`, for tasks whose colours span a range.

        Returns:
            uint8 array `(height, width, 3)`.
        """
        raise TypeError(f"`{type(self).__name__}` must define `colorize(target)`.")

    def get_config(self):
        return {"name": self.name, "channels": self.channels, "averaging": self.averaging}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_atinet")
class SemanticSegmentation(Task):
    """A class for every pixel: logits, cross-entropy (eq. 2), mean IoU (eq. 7), pixel accuracy.

    A label outside `[0, num_classes)` (-1 and 255, say) is void, and so is `ignore_class`.

    Args:
        num_classes: int. Defaults to 13, the NYUv2 classes.
        ignore_class: optional int, a void label among the classes or beside them.
        class_names: optional sequence of str.
        class_colors: optional sequence of RGB triples in `[0, 255]`.
        name: str. Defaults to `"segmentation"`.
        averaging: `"pixel"` or `"batch"`, see `Task`.

    Raises:
        ValueError: if names or colours are not one per class.

    Example:
        >>> task = keras_atinet.SemanticSegmentation(num_classes=11, ignore_class=255)
        >>> task.channels
        11
    """

    target_dtype = "int32"
    missing_value = -1

    def __init__(
        self,
        num_classes=13,
        ignore_class=None,
        class_names=None,
        class_colors=None,
        name="segmentation",
        averaging="pixel",
    ):
        super().__init__(name, num_classes, averaging)
        self.num_classes = self.channels
        self.ignore_class = ignore_class
        is_nyu13 = self.num_classes == len(NYU13_CLASSES)
        if class_names is None and is_nyu13:
            class_names = list(NYU13_CLASSES)
        if class_colors is None:
            class_colors = NYU13_CLASSES.values() if is_nyu13 else _palette(self.num_classes)
        self.class_names = list(class_names) if class_names is not None else None
        self.class_colors = [tuple(int(value) for value in color) for color in class_colors]
        for argument in ("class_names", "class_colors"):
            values = getattr(self, argument)
            if values is not None and len(values) != self.num_classes:
                raise ValueError(
                    f"`{argument}` of task '{name}' must have one entry for each of the "
                    f"{self.num_classes} classes. Received: {len(values)} entries."
                )

    def target_shape(self, height, width):
        return (height, width)

    def prepare(self, y_true):
        if keras.backend.is_float_dtype(keras.backend.standardize_dtype(y_true.dtype)):
            y_true = ops.where(ops.isfinite(y_true), y_true, -ops.ones_like(y_true))
        y_true = ops.cast(y_true, "int32")
        mask = (y_true >= 0) & (y_true < self.num_classes)
        if self.ignore_class is not None:
            mask = mask & (y_true != self.ignore_class)
        return ops.where(mask, y_true, ops.zeros_like(y_true)), mask

    def loss(self):
        return losses.cross_entropy()

    def metrics(self):
        return [
            metrics.MeanIoU(self.num_classes, averaging=self.averaging),
            metrics.PixelAccuracy(averaging=self.averaging),
        ]

    def constant(self, targets):
        counts = np.bincount(targets, minlength=self.num_classes)
        # Logits of the class frequencies: the least cross-entropy, and the majority class.
        return np.log(np.maximum(counts, 0.5) / max(len(targets), 1)).astype("float32")

    def decode(self, y_pred):
        return np.argmax(y_pred, axis=-1).astype("int32")

    def colorize(self, target, limits=None):
        target = np.asarray(target).astype("int64")
        palette = np.array([*self.class_colors, MISSING_COLOR], "uint8")
        valid = (target >= 0) & (target < self.num_classes) & (target != self.ignore_class)
        return palette[np.where(valid, target, -1)]

    def get_config(self):
        return {
            "name": self.name,
            "averaging": self.averaging,
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "class_names": self.class_names,
            "class_colors": self.class_colors,
        }


@keras.saving.register_keras_serializable(package="keras_atinet")
class DepthEstimation(Task):
    """Depth in metres along the optical axis: L1 (eq. 3), absolute and relative error (eq. 5).

    A pixel is valid where the depth is finite and above 0.

    Args:
        name: str. Defaults to `"depth"`.
        averaging: `"pixel"` or `"batch"`, see `Task`.
    """

    unit = "m"

    def __init__(self, name="depth", averaging="pixel"):
        super().__init__(name, 1, averaging)

    def get_config(self):
        return {"name": self.name, "averaging": self.averaging}

    def prepare(self, y_true):
        mask = ops.isfinite(y_true) & (y_true > 0)
        return ops.where(mask, y_true, ops.ones_like(y_true)), mask[..., 0]

    def loss(self):
        return losses.absolute_error()

    def metrics(self):
        return [
            metrics.AbsoluteError(averaging=self.averaging),
            metrics.RelativeError(averaging=self.averaging),
            metrics.RootMeanSquaredError(averaging=self.averaging),
            metrics.WithinRatio(1.25, averaging=self.averaging),
        ]

    def constant(self, targets):
        return np.median(targets, axis=0).astype("float32")

    def color_limits(self, target):
        depth = np.asarray(target, "float32")
        valid = depth[np.isfinite(depth) & (depth > 0)]
        return tuple(np.percentile(valid, [1, 99])) if valid.size else (0.0, 1.0)

    def colorize(self, target, limits=None):
        depth = np.asarray(target, "float32")[..., 0]
        valid = np.isfinite(depth) & (depth > 0)
        low, high = self.color_limits(target) if limits is None else limits
        share = np.clip((np.where(valid, depth, low) - low) / max(high - low, 1e-6), 0, 1)
        colors = _depth_colors()[np.round(share * 255).astype(int)]
        return np.where(valid[..., None], colors, np.uint8(MISSING_COLOR))


@keras.saving.register_keras_serializable(package="keras_atinet")
class SurfaceNormals(Task):
    """Unit normals (x right, y down, z forward): 1 - mean cosine (eq. 4 + 1), angles (eq. 6).

    A pixel is valid where the normal is finite and longer than 0.5.

    Args:
        name: str. Defaults to `"normal"`.
        averaging: `"pixel"` or `"batch"`, see `Task`.
    """

    def __init__(self, name="normal", averaging="pixel"):
        super().__init__(name, 3, averaging)

    def get_config(self):
        return {"name": self.name, "averaging": self.averaging}

    def activation(self, x):
        return unit_vector(x)

    def prepare(self, y_true):
        finite = ops.all(ops.isfinite(y_true), axis=-1)
        y_true = ops.where(finite[..., None], y_true, ops.zeros_like(y_true))
        mask = ops.sum(ops.square(y_true), axis=-1) > 0.25
        return unit_vector(y_true), mask

    def loss(self):
        return losses.CosineDistance()

    def metrics(self):
        return [
            metrics.MeanAngularError(averaging=self.averaging),
            metrics.MedianAngularError(averaging=self.averaging),
            *(metrics.WithinAngle(t, averaging=self.averaging) for t in (11.25, 22.5, 30.0)),
        ]

    def constant(self, targets):
        mean = np.mean(targets, axis=0)
        return (mean / max(np.linalg.norm(mean), 1e-6)).astype("float32")

    def colorize(self, target, limits=None):
        normal = np.nan_to_num(np.asarray(target, "float32"))
        valid = np.linalg.norm(normal, axis=-1, keepdims=True) > 0.5
        colors = np.clip(np.round((normal + 1) * 127.5), 0, 255).astype("uint8")
        return np.where(valid, colors, np.uint8(MISSING_COLOR))


TASKS = {"segmentation": SemanticSegmentation, "depth": DepthEstimation, "normal": SurfaceNormals}


def get_tasks(tasks):
    """The tasks that the networks' argument `tasks` describes.

    Args:
        tasks: one name, a `Task`, a sequence of names and `Task` objects, or a dict
            name -> channels. Names: `"segmentation"` (13 classes), `"depth"`, `"normal"`.

    Returns:
        List of `Task`.

    Raises:
        ValueError: if there is no task, a name is unknown or given twice, or the channels of a
            task do not fit it.
    """
    if isinstance(tasks, dict):
        tasks = [_from_channels(name, channels) for name, channels in tasks.items()]
    elif isinstance(tasks, (str, Task)):
        tasks = [tasks]
    elif not isinstance(tasks, Iterable):
        tasks = []
    tasks = [task if isinstance(task, Task) else _from_name(task) for task in tasks]
    names = [task.name for task in tasks]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`tasks` must hold at least one task, each name once. Received: {names}. "
            "Give a second task of a kind its own `name`."
        )
    return tasks


def _from_name(name):
    if not isinstance(name, str) or name not in TASKS:
        raise ValueError(
            f"Unknown task in `tasks`. Received: {name!r}. Expected one of {sorted(TASKS)} "
            "or a `keras_atinet.Task` object."
        )
    return TASKS[name]()


def _from_channels(name, channels):
    if name == "segmentation":
        return SemanticSegmentation(num_classes=channels)
    task = _from_name(name)
    if task.channels != channels:
        raise ValueError(
            f"Task '{name}' has {task.channels} channels. "
            f"Received: tasks={{'{name}': {channels!r}}}."
        )
    return task


def _palette(size):
    """Distinct colours by stepping the hue by the golden ratio."""
    hue = (np.arange(size) * 0.618034) % 1.0
    value = 1.0 - 0.25 * (np.arange(size) % 3)
    ramps = np.abs((hue[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return np.round(255 * value[:, None] * (0.3 + 0.7 * np.clip(ramps, 0, 1))).astype(int)


def _depth_colors():
    """256 colours from near (yellow) over green and blue to far (dark violet)."""
    stops = np.array(
        [[253, 231, 37], [122, 209, 81], [34, 168, 132], [42, 120, 142], [65, 68, 135], [68, 1, 84]]
    )
    position = np.linspace(0, len(stops) - 1, 256)
    columns = [np.interp(position, np.arange(len(stops)), stops[:, c]) for c in range(3)]
    return np.round(np.stack(columns, axis=-1)).astype("uint8")
