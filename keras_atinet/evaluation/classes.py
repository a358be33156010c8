"""Scores of each class, beside those of a task."""

import numpy as np
from keras import ops

from keras_atinet.evaluation.scoring import with_averaging
from keras_atinet.metrics import MeanIoU

_MOST = 0.8  # the share of the pixels, predicted as one class, that may be worth a line


class ClassScores:
    """Counts which class was predicted for which, for `evaluate(on_batch=...)`.

    All pixels are pooled, whatever the tasks say of averaging. Tasks without a `MeanIoU` among
    their metrics have no classes.

    Args:
        tasks: list of `Task`.

    Attributes:
        names: dict, task name -> names of the classes, for the tasks that have classes.
        confusion: dict, task name -> array `(classes, classes)` of pixel counts, truth in rows.

    Example:

    ```python
    classes = ClassScores(model.tasks)
    results = evaluate(model, batches, on_batch=classes)
    classes.iou()["segmentation"]  # {"bed": 0.41, "books": 0.07, ..., "window": nan}
    ```
    """

    def __init__(self, tasks):
        self._metrics, self.names = {}, {}
        for task in tasks:
            metric = _mean_iou(task)
            if metric is not None:
                self._metrics[task.name] = metric
                self.names[task.name] = _class_names(task, metric.num_classes)

    def __call__(self, y_true, y_pred, weights):
        """Counts a batch; the arguments are three dicts of tensors by task."""
        for name, metric in self._metrics.items():
            metric.update_state(y_true[name], y_pred[name], weights[name])

    @property
    def confusion(self):
        return {
            name: ops.convert_to_numpy(metric.confusion_matrix())
            for name, metric in self._metrics.items()
        }

    def iou(self):
        """Intersection over union of each class.

        Returns:
            dict, task name -> class name -> float; NaN for classes that occur neither in the truth
            nor in the prediction, and for a class that is ignored.
        """
        values = {
            name: ops.convert_to_numpy(metric.class_iou()).tolist()
            for name, metric in self._metrics.items()
        }
        return {name: dict(zip(self.names[name], values[name], strict=True)) for name in values}

    def rows(self, task):
        """What a table shows of the classes of a task.

        Args:
            task: str, the name of a task.

        Returns:
            List of `(class name, IoU, share of the true pixels, share of the predicted pixels)`,
            text; "-" where there is no number.
        """
        truth, predicted = self._shares(task)
        return [
            (
                name,
                "-" if np.isnan(iou) else f"{iou:.4f}",
                _percent(a) if a else "-",
                _percent(b) if b else "-",
            )
            for (name, iou), a, b in zip(self.iou()[task].items(), truth, predicted, strict=True)
        ]

    def table(self):
        """Lines of text: a row for each class of the tasks that have labels; "" without any."""
        lines = []
        for task, names in self.names.items():
            if self.confusion[task].any():
                width = max(16, *map(len, names))
                lines += ["", f"{task:{width}}{'IoU':>10}{'truth':>10}{'predicted':>12}"]
                lines += [f"{n:{width}}{i:>10}{t:>10}{p:>12}" for n, i, t, p in self.rows(task)]
        return "\n".join([*lines, *self.warnings()])

    def warnings(self):
        """A line for each task of which nearly all is predicted as one class, and less is."""
        lines = []
        for task, names in self.names.items():
            truth, predicted = self._shares(task)
            most = int(np.argmax(predicted))
            if predicted[most] > _MOST and 1 - predicted[most] < (1 - truth[most]) / 2:
                lines.append(
                    f"{_percent(predicted[most])} of the pixels of {task} are predicted as "
                    f"{names[most]}; {_percent(truth[most])} are."
                )
        return lines

    def _shares(self, task):
        matrix = self.confusion[task]
        total = max(matrix.sum(), 1)
        return matrix.sum(axis=1) / total, matrix.sum(axis=0) / total


def _class_names(task, num_classes):
    """The names of the classes of a task, no two the same; numbered where it has none."""
    names = getattr(task, "class_names", None) or [f"class {i}" for i in range(num_classes)]
    return [name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names)]


def _mean_iou(task):
    metrics = with_averaging(task, "pixel").metrics()
    return next((metric for metric in metrics if isinstance(metric, MeanIoU)), None)


def _percent(share):
    return f"{100 * share:.1f} %"
