"""The best constant predictions, the bar for every network."""

import numpy as np
from keras import ops

from keras_atinet.evaluation.scoring import evaluate_function

_PIXEL_STRIDE = 7  # every seventh valid pixel is plenty for a constant


def best_constants(tasks, batches):
    """The constant predictions that fit the batches best.

    Returns:
        dict, task name -> array `(channels,)`; without the tasks that have no valid pixel.
    """
    values = {task.name: [] for task in tasks}
    for _, targets in batches.as_numpy_iterator():
        for task in tasks:
            target, mask = task.prepare(ops.convert_to_tensor(targets[task.name]))
            valid = ops.convert_to_numpy(target)[ops.convert_to_numpy(mask)]
            values[task.name].append(valid[::_PIXEL_STRIDE])
    values = {name: np.concatenate(parts) for name, parts in values.items()}
    return {task.name: task.constant(values[task.name]) for task in tasks if len(values[task.name])}


def evaluate_constants(tasks, constants, batches):
    """What `evaluate` returns, for constant predictions."""

    def predict(images):
        return {
            name: np.broadcast_to(np.asarray(value, "float32"), (*images.shape[:3], len(value)))
            for name, value in constants.items()
        }

    return evaluate_function([task for task in tasks if task.name in constants], predict, batches)
