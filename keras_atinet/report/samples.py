"""What a model makes of each held-out sample."""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_atinet.evaluation.scoring import evaluate_function, predictor
from keras_atinet.ops.masks import any_pixel


class SampleScores(NamedTuple):
    """A model on some samples.

    Attributes:
        losses: dict task name -> float array `(samples,)`, NaN for samples without truth.
        results: dict task name -> `"loss"` and metric names -> float, as from
            `evaluation.evaluate`.
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
    functions = {task.name: task.loss() for task in model.tasks}
    losses = {name: [] for name in functions}
    classes = [task for task in model.tasks if _has_classes(task)]
    confusion = {task.name: np.zeros((task.num_classes,) * 2, int) for task in classes}

    def keep(y_true, y_pred, weights):
        for name, function in functions.items():
            losses[name] += _losses(function, y_true[name], y_pred[name], weights[name])
        for task in classes:
            batch = (part[task.name] for part in (y_true, y_pred, weights))
            confusion[task.name] += _counts(task, *batch)

    results = evaluate_function(model.tasks, predictor(model), batches, keep)
    return SampleScores({name: np.array(losses[name]) for name in losses}, results, confusion)


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


def _counts(task, y_true, y_pred, weight):
    mask = ops.convert_to_numpy(weight) > 0
    truth = ops.convert_to_numpy(y_true)[mask]
    predicted = task.decode(ops.convert_to_numpy(y_pred))[mask]
    count = task.num_classes
    return np.bincount(truth * count + predicted, minlength=count**2).reshape(count, count)
