"""What a model makes of each held-out sample."""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_atinet.evaluation import ClassScores
from keras_atinet.evaluation.scoring import evaluate_function, predictor
from keras_atinet.ops.masks import any_pixel


class SampleScores(NamedTuple):
    """A model on some samples.

    Attributes:
        losses: dict task name -> float array `(samples,)`, NaN for samples without truth.
        results: dict task name -> `"loss"` and metric names -> float, as from
            `evaluation.evaluate`.
        classes: `evaluation.ClassScores`.
    """

    losses: dict
    results: dict
    classes: ClassScores


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
    classes = ClassScores(model.tasks)

    def keep(y_true, y_pred, weights):
        for name, function in functions.items():
            losses[name] += _losses(function, y_true[name], y_pred[name], weights[name])
        classes(y_true, y_pred, weights)

    results = evaluate_function(model.tasks, predictor(model), batches, keep)
    return SampleScores({name: np.array(losses[name]) for name in losses}, results, classes)


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


def _losses(function, y_true, y_pred, weight):
    known = ops.convert_to_numpy(any_pixel(weight > 0))
    return [
        float(function(y_true[i : i + 1], y_pred[i : i + 1], sample_weight=weight[i : i + 1]))
        if known[i]
        else float("nan")
        for i in range(len(known))
    ]
