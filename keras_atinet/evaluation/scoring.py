import copy
import math

import keras
from keras import ops

from keras_atinet.evaluation.original_size import OriginalSize
from keras_atinet.ops.masks import any_pixel
from keras_atinet.training.step.targets import valid_targets


def evaluate(model, batches, averaging=None, verbose=0, on_batch=None):
    """The tasks' own losses and metrics.

    The model and its tasks stay as they are, compiled or not; a loss or metrics that it was
    compiled with do not count.

    Args:
        model: `MultiTaskModel`.
        batches: dataset of `(images, targets)`, or an `OriginalSize`.
        averaging: `"pixel"`, `"batch"`, or None for what the tasks say.
        verbose: 0, 1 or 2: nothing, a progress bar, or one line.
        on_batch: as for `evaluate_function`, a `ClassScores` for instance.

    Returns:
        dict, task name -> `"loss"` and metric names -> float; NaN for a task without any valid
        pixel.

    Raises:
        ValueError: if no task has a valid pixel.
    """
    tasks = [with_averaging(task, averaging) for task in model.tasks]
    return evaluate_function(tasks, predictor(model), batches, on_batch, verbose)


def evaluate_function(tasks, predict, batches, on_batch=None, verbose=0):
    """What `evaluate` returns, for the predictions of any function, an exported model say.

    The `loss` is the mean over the batches of the loss of a batch, weighted by its number of
    images with a valid pixel, as in `model.evaluate`.

    Args:
        tasks: list of `Task`.
        predict: function from images `(batch, height, width, channels)` to a dict of arrays.
        batches: dataset of `(images, targets)`, or of `(images, targets, sample_weight)`; or an
            `OriginalSize`, to whose targets the predictions are resized.
        on_batch: optional function that takes targets, predictions and the weights of the pixels
            of each batch: three dicts of tensors by task, ignored pixels of weight 0.
        verbose: as for `evaluate`.

    Raises:
        ValueError: if no task has a valid pixel.
    """
    losses = {task.name: task.loss() for task in tasks}
    means = {task.name: keras.metrics.Mean(name="loss") for task in tasks}
    metrics = {task.name: task.metrics() for task in tasks}
    progress, num_replicas = (
        keras.utils.Progbar(num_batches(batches), verbose=verbose),
        _num_replicas(),
    )
    for batch in _iterate(batches):
        images, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        predictions = predict(images)
        if isinstance(batches, OriginalSize):
            arrays = {name: ops.convert_to_numpy(predictions[name]) for name in losses}
            predictions, targets, sample_weight = batches.align(arrays, targets)
        y_pred = {name: ops.convert_to_tensor(predictions[name]) for name in losses}
        y, weights = valid_targets(tasks, targets, y_pred, sample_weight)
        for name, weight in weights.items():
            inputs = y[name], y_pred[name], weight
            valid = ops.sum(ops.cast(any_pixel(weight > 0), "float32"))
            means[name].update_state(losses[name](*inputs) * num_replicas, sample_weight=valid)
            for metric in metrics[name]:
                metric.update_state(*inputs)
        if on_batch is not None:
            on_batch(y, y_pred, weights)
        progress.add(1)
    # Not `float`: in the scope of a `tf.distribute` strategy it is in parts.
    found = {name: ops.convert_to_numpy(mean.count) > 0 for name, mean in means.items()}
    if found and not any(found.values()):
        raise ValueError(
            "There is nothing to evaluate: no pixel of any task is valid. "
            f"Received: batches without labels of the tasks {list(found)}. "
            "Check the targets, or give data with labels."
        )
    return {
        name: {
            metric.name: float(metric.result()) if found[name] else math.nan
            for metric in (mean, *metrics[name])
        }
        for name, mean in means.items()
    }


def _num_replicas():
    """The number that Keras divides losses by, in the scope of a `tf.distribute` strategy."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def predictor(model):
    """What `evaluate_function` takes, of a model."""

    def predict(images):
        outputs = model.predict_on_batch(images)
        # Under `tf.distribute` each replica predicts the whole batch, and Keras joins them.
        count = len(keras.tree.flatten(images)[0])
        return {name: output[:count] for name, output in outputs.items()}

    return predict


def with_averaging(task, averaging):
    """The task; a copy if its metrics average in another way."""
    if averaging not in (None, task.averaging):
        task = copy.copy(task)
        task.averaging = averaging
    return task


def _iterate(batches):
    if hasattr(batches, "as_numpy_iterator"):
        return batches.as_numpy_iterator()
    if isinstance(batches, keras.utils.PyDataset):
        return (batches[index] for index in range(batches.num_batches))
    return batches


def num_batches(batches):
    """The number of batches of a dataset, or None if it does not tell."""
    if isinstance(batches, keras.utils.PyDataset):
        return batches.num_batches
    try:
        return len(batches)
    except TypeError:  # a generator; or a `tf.data.Dataset` of unknown size
        return None
