import math

import keras
import numpy as np
from keras import ops

from keras_atinet import losses, metrics
from keras_atinet.tasks.names import is_one_line
from keras_atinet.tasks.task import MISSING_COLOR, Task

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

_SHOWN_LABELS = 10


def ignored_labels(num_classes, ignore_class=None):
    """The labels that are meant to be ignored: -1, 255 unless it is a class, and `ignore_class`.

    Args:
        num_classes: int.
        ignore_class: optional int.

    Returns:
        Tuple of int, in ascending order.

    Example:
        >>> ignored_labels(300), ignored_labels(13, ignore_class=0)
        ((-1,), (-1, 0, 255))
    """
    labels = {-1} if num_classes > 255 else {-1, 255}
    return tuple(sorted(labels if ignore_class is None else {*labels, ignore_class}))


@keras.saving.register_keras_serializable(package="keras_atinet")
class SemanticSegmentation(Task):
    """A class for every pixel: logits, cross-entropy (eq. 2), mean IoU (eq. 7), pixel accuracy.

    A label outside `[0, num_classes)` is ignored, and so is `ignore_class`. So -1 always is, and
    255 with up to 255 classes; with more of them 255 is a class like any other.

    Args:
        num_classes: int. Defaults to 13, the NYUv2 classes.
        ignore_class: optional int, a label to ignore, among the classes or beside them.
        class_names: optional sequence of str.
        class_colors: optional sequence of RGB triples in `[0, 255]`.
        name: str. Defaults to `"segmentation"`.
        averaging: `"pixel"` or `"batch"`, see `Task`.
        class_weights: optional sequence of float, how much a pixel of each class counts in the
            loss, `sum(w l) / sum(w)`, that of validation (`val_loss`) too; metrics are unweighted.
            `keras_atinet.data.class_weights` computes balanced ones. Defaults to equal weights.

    Raises:
        ValueError: if there are fewer than two classes; if names, colours or weights are not one
            per class; if a weight is negative or not finite, or all are 0.

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
        class_weights=None,
    ):
        super().__init__(name, num_classes, averaging)
        if self.channels < 2:
            raise ValueError(
                f"Task '{name}' needs at least two classes. Received: num_classes={num_classes}. "
                "A binary mask has two, the background 0 and the object 1: num_classes=2, whose "
                "softmax is equal to one sigmoid. Masks of 0 and 255 in a folder become those by "
                '"values": {"0": 0, "255": 1} in dataset.json.'
            )
        self.num_classes = self.channels
        self.ignore_class = ignore_class
        is_nyu13 = self.num_classes == len(NYU13_CLASSES)
        if class_names is None and is_nyu13:
            class_names = list(NYU13_CLASSES)
        if class_colors is None:
            class_colors = NYU13_CLASSES.values() if is_nyu13 else _palette(self.num_classes)
        self.class_names = list(class_names) if class_names is not None else None
        for class_name in self.class_names or ():
            if not (isinstance(class_name, str) and is_one_line(class_name)):
                raise ValueError(
                    f"`class_names` of task '{name}' must be str without control characters: they "
                    f"are printed. Received: {class_name!r}."
                )
        self.class_colors = _as_colors(class_colors, name)
        self.class_weights = None if class_weights is None else _as_weights(class_weights, name)
        for argument in ("class_names", "class_colors", "class_weights"):
            values = getattr(self, argument)
            if values is not None and len(values) != self.num_classes:
                raise ValueError(
                    f"`{argument}` of task '{name}' must have one entry for each of the "
                    f"{self.num_classes} classes. Received: {len(values)} entries."
                )

    @property
    def ignored_labels(self):
        """Tuple of int, the labels that are meant to be ignored; any other stray one is a fault."""
        return ignored_labels(self.num_classes, self.ignore_class)

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

    def check_facts(self, facts):
        """Checks that the data have the classes of this task.

        Args:
            facts: dict, as in `keras_atinet.data.Source.tasks`.

        Raises:
            ValueError: if the data have another number of classes; where `num_classes` is only
                counted (`counted_classes`), if they have more.
        """
        count = facts.get("num_classes", self.num_classes)
        if count > self.num_classes or (
            count < self.num_classes and not facts.get("counted_classes")
        ):
            raise ValueError(
                f"Task '{self.name}' must have as many classes as the data. Received: "
                f"num_classes={self.num_classes}, for data of {count}. "
                f"Give the task num_classes={count}, or map the labels of the data."
            )

    def find_problems(self, target):
        """As for `Task`, and labels that are neither a class nor among the `ignored_labels`.

        With two classes, also a mask of 0 and 255: all that is 255 is ignored, unless
        `ignore_class=255` says that it shall be.
        """
        values, counts = np.unique(np.asarray(target), return_counts=True)
        known = ((values >= 0) & (values < self.num_classes)) | np.isin(values, self.ignored_labels)
        stray = ~known & np.isfinite(values)
        problems = super().find_problems(target)
        if stray.any():
            share = 100 * counts[stray].sum() / counts.sum()
            shown = ", ".join(f"{value:g}" for value in values[stray][:_SHOWN_LABELS])
            shown += ", ..." if stray.sum() > _SHOWN_LABELS else ""
            problems.append(
                f"{share:.3g} % of the labels are none of the {self.num_classes} classes and "
                f"ignored: {shown}. Classes are 0 to {self.num_classes - 1}; labels to ignore "
                f"are {', '.join(map(str, self.ignored_labels))}. Check `num_classes` and "
                "`ignore_class`"
            )
        if self.num_classes == 2 and self.ignore_class != 255 and set(values) == {0, 255}:
            problems.append(
                "the labels are 0 and 255 only, of which 255 is ignored. If it is the object of a "
                "binary mask, map it to 1; if it is to be ignored, give `ignore_class=255`"
            )
        return problems

    def loss(self):
        return losses.cross_entropy(self.class_weights)

    def metrics(self):
        return [
            metrics.MeanIoU(
                self.num_classes, averaging=self.averaging, ignore_class=self.ignore_class
            ),
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
            "class_weights": self.class_weights,
        }


def _as_colors(class_colors, name):
    try:
        colors = np.array([tuple(color) for color in class_colors], "float64").reshape(-1, 3)
        valid = np.all((colors >= 0) & (colors <= 255))
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise ValueError(
            f"`class_colors` of task '{name}' must be RGB triples of numbers in [0, 255]. "
            f"Received: {class_colors}."
        )
    return [tuple(color) for color in colors.astype(int).tolist()]


def _as_weights(values, name):
    if isinstance(values, (dict, str)):  # of both a list can be made, of keys or of letters
        raise ValueError(
            f"`class_weights` of task '{name}' must be a sequence with one number for each class, "
            f"in their order. Received: {values!r}. `keras_atinet.data.class_weights(source)` "
            "computes balanced ones."
        )
    weights = [float(value) for value in values]
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise ValueError(
            f"`class_weights` of task '{name}' must be finite numbers of at least 0, not all 0. "
            f"Received: {weights}."
        )
    return weights


def _palette(size):
    """Distinct colours by stepping the hue by the golden ratio."""
    hue = (np.arange(size) * 0.618034) % 1.0
    value = 1.0 - 0.25 * (np.arange(size) % 3)
    ramps = np.abs((hue[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return np.round(255 * value[:, None] * (0.3 + 0.7 * np.clip(ramps, 0, 1))).astype(int)
