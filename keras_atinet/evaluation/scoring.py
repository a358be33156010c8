import keras
from keras import ops

from keras_atinet.ops.masks import any_pixel


def evaluate(model, batches, averaging=None, verbose=0):
    """The tasks' own losses and metrics.

    Args:
        model: `MultiTaskModel`; it is compiled anew.
        batches: dataset of `(images, targets)`.
        averaging: `"pixel"`, `"batch"`, or None for what the tasks say.
        verbose: 0, 1 or 2, as for `model.evaluate`.

    Returns:
        dict, task name -> `"loss"` and metric names -> float.
    """
    for task in model.tasks:
        task.averaging = averaging or task.averaging
    model.compile(jit_compile=model.jit_compile)
    logs = model.evaluate(batches, return_dict=True, verbose=verbose)
    return {
        task.name: {name: float(logs[f"{task.name}_{name}"]) for name in _names(task)}
        for task in model.tasks
    }


def evaluate_function(tasks, predict, batches):
    """What `evaluate` returns, for the predictions of any function, an exported model say.

    Args:
        tasks: list of `Task`.
        predict: function from images `(batch, height, width, channels)` to a dict of arrays.
        batches: dataset of `(images, targets)`.
    """
    losses = {task.name: task.loss() for task in tasks}
    means = {task.name: keras.metrics.Mean(name="loss") for task in tasks}
    metrics = {task.name: task.metrics() for task in tasks}
    for images, targets in batches.as_numpy_iterator():
        predictions = predict(images)
        for task in tasks:
            target, mask = task.prepare(ops.convert_to_tensor(targets[task.name]))
            weight = ops.cast(mask, "float32")
            y_pred = ops.convert_to_tensor(predictions[task.name])
            loss = losses[task.name](target, y_pred, sample_weight=weight)
            # Counted as in training: images without valid pixels do not count.
            valid = ops.sum(ops.cast(any_pixel(mask), "float32"))
            means[task.name].update_state(loss, sample_weight=valid)
            for metric in metrics[task.name]:
                metric.update_state(target, y_pred, sample_weight=weight)
    return {
        task.name: {m.name: float(m.result()) for m in (means[task.name], *metrics[task.name])}
        for task in tasks
    }


def table(results, baseline=None, title="model"):
    """Lines of text: a row for each loss and metric."""
    lines = [f"{'':32}{title:>12}" + (f"{'constant':>12}" if baseline else "")]
    for task, values in results.items():
        for name, value in values.items():
            constant = (baseline or {}).get(task, {}).get(name)
            column = "" if constant is None else f"{constant:12.4f}"
            lines.append(f"{task:14}{name:18}{value:12.4f}{column}")
    return "\n".join(lines)


def _names(task):
    return ["loss", *(metric.name for metric in task.metrics())]
