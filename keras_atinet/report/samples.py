"""What a model makes of each held-out sample."""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_atinet.ops.masks import any_pixel


class SampleScores(NamedTuple):
    """A model on some samples.

    Attributes:
        losses: dict task name -> float array `(samples,)`, NaN for samples without truth.
        results: dict task name -> `"loss"` and metric names -> float; all pixels pooled.
        confusion: dict task name -> array `(classes, classes)` of pixel counts, truth in rows;
            for the tasks that have classes.
    """

    losses: dict
    results: dict
    confusion: dict


def score_samples(model, batches):
    """Predicts all batches and keeps the numbers.

    Args:
        model: `MultiTaskModel`.
        batches: dataset of `(images, targets)`, unshuffled.

    Returns:
        `SampleScores`.
    """
    tasks = [pooled(task) for task in model.tasks]
    functions = {task.name: task.loss() for task in tasks}
    metrics = {task.name: task.metrics() for task in tasks}
    losses = {task.name: [] for task in tasks}
    confusion = {t.name: np.zeros((t.num_classes,) * 2, int) for t in tasks if _has_classes(t)}
    for images, targets in batches.as_numpy_iterator():
        predictions = model.predict_on_batch(images)
        for task in tasks:
            y_pred = ops.convert_to_tensor(predictions[task.name])
            y_true, mask = task.prepare(ops.convert_to_tensor(targets[task.name]))
            weight = ops.cast(mask, "float32")
            for metric in metrics[task.name]:
                metric.update_state(y_true, y_pred, sample_weight=weight)
            losses[task.name] += _losses(functions[task.name], y_true, y_pred, weight)
            if task.name in confusion:
                confusion[task.name] += _counts(task, y_true, y_pred, mask)
    losses = {name: np.array(values) for name, values in losses.items()}
    results = {
        name: {
            "loss": float(np.nanmean(losses[name])) if np.isfinite(losses[name]).any() else 0.0,
            **{metric.name: float(metric.result()) for metric in metrics[name]},
        }
        for name in losses
    }
    return SampleScores(losses, results, confusion)


def pooled(task):
    """A copy of a task whose metrics pool all pixels."""
    return type(task).from_config({**task.get_config(), "averaging": "pixel"})


def ranked(losses):
    """Indices of the samples from best to worst.

    A sample's rank is that of the mean over its tasks of its loss, relative to the mean over all
    samples. Samples without truth are left out.

    Args:
        losses: dict task name -> array, from `SampleScores`.
    """
    table = np.stack([values for values in losses.values() if np.isfinite(values).any()])
    relative = table / np.maximum(np.nanmean(table, axis=1, keepdims=True), 1e-12)
    known = np.flatnonzero(np.isfinite(relative).any(axis=0))
    means = np.nanmean(relative[:, known], axis=0)
    return [int(index) for index in known[np.argsort(means, kind="stable")]]


def _has_classes(task):
    return hasattr(task, "num_classes")


def _losses(function, y_true, y_pred, weight):
    known = ops.convert_to_numpy(any_pixel(weight > 0))
    return [
        float(function(y_true[i : i + 1], y_pred[i : i + 1], sample_weight=weight[i : i + 1]))
        if known[i]
        else float("nan")
        for i in range(len(known))
    ]


def _counts(task, y_true, y_pred, mask):
    mask = ops.convert_to_numpy(mask)
    truth = ops.convert_to_numpy(y_true)[mask]
    predicted = task.decode(ops.convert_to_numpy(y_pred))[mask]
    count = task.num_classes
    return np.bincount(truth * count + predicted, minlength=count**2).reshape(count, count)
