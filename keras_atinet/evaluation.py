"""Losses and metrics of a model on held-out data, beside the best constant prediction."""

import keras
import numpy as np
from keras import ops

_PIXEL_STRIDE = 7  # every seventh valid pixel is plenty for a constant


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
            valid = ops.sum(ops.cast(ops.any(mask, axis=(1, 2)), "float32"))
            means[task.name].update_state(loss, sample_weight=valid)
            for metric in metrics[task.name]:
                metric.update_state(target, y_pred, sample_weight=weight)
    return {
        task.name: {m.name: float(m.result()) for m in (means[task.name], *metrics[task.name])}
        for task in tasks
    }


def delta_m(results, baseline, tasks, average="metrics"):
    """How much better than a baseline, in percent, 0 if equal.

    `delta_m = 100 mean(s (M - B) / B)` over the metrics in both, with `s = 1` where higher is
    better and -1 elsewhere. Two definitions are in use, so name the one that you print. NaN if a
    metric of the baseline is 0.

    Args:
        results, baseline: dicts, task name -> metric name -> value, as from `evaluate`; other
            keys (`"loss"`) are left out.
        tasks: list of `Task`.
        average: `"metrics"` (the mean over all metrics) or `"tasks"` (the mean over the tasks of
            the mean over a task's metrics).

    Reference: Maninis et al., "Attentive Single-Tasking of Multiple Tasks", CVPR 2019, eq. 8.
    """
    gains = []
    for task in tasks:
        signs = {m.name: 1 if m.higher_is_better else -1 for m in task.metrics()}
        values, base = results[task.name], baseline[task.name]
        names = [name for name in signs if name in values and name in base]
        gains.append([signs[name] * _relative(values[name], base[name]) for name in names])
    if average == "tasks":
        return float(100 * np.mean([np.mean(gain) for gain in gains]))
    return float(100 * np.mean(np.concatenate(gains)))


def _relative(value, base):
    return (value - base) / base if base else float("nan")


class DeltaM(keras.callbacks.Callback):
    """Logs `val_delta_m` after every epoch: how much better than a baseline all tasks together are.

    Put it in front of callbacks that read it, such as
    `ModelCheckpoint(monitor="val_delta_m", mode="max")`.

    Args:
        baseline: dict, task name -> metric name -> value, as from `evaluate`; metrics that are not
            in it do not count.
        average: `"metrics"` or `"tasks"`, see `delta_m`. Defaults to `"metrics"`.

    Raises:
        ValueError: at `fit`, if the baseline lacks a task of the model or holds a value that is 0
            or not finite.

    Example:
        >>> baseline = {"depth": {"abs_error": 0.65}, "normal": {"mean_angle": 29.9}}
        >>> model.fit(train, validation_data=val, callbacks=[DeltaM(baseline)])
    """

    def __init__(self, baseline, average="metrics"):
        super().__init__()
        self.baseline = baseline
        self.average = average

    def on_train_begin(self, logs=None):
        self._tasks = list(self.model.tasks)
        check_baseline(self.baseline, self._tasks)

    def on_epoch_end(self, epoch, logs=None):
        if logs is None or "val_loss" not in logs:
            return  # an epoch without validation
        results = {
            task.name: {
                name: logs[f"val_{task.name}_{name}"] for name in _common(task, self.baseline)
            }
            for task in self._tasks
        }
        logs["val_delta_m"] = delta_m(results, self.baseline, self._tasks, self.average)


def check_baseline(baseline, tasks):
    """Checks that `delta_m` can be taken against a baseline.

    Raises:
        ValueError: if the baseline lacks a task, or a value is 0 or not finite.
    """
    for task in tasks:
        names = _common(task, baseline)
        if not names:
            raise ValueError(
                f"The baseline says nothing of task '{task.name}'. Received: {baseline}. "
                f"Give at least one of its metrics: {[metric.name for metric in task.metrics()]}."
            )
        values = {name: baseline[task.name][name] for name in names}
        useless = {name: v for name, v in values.items() if v == 0 or not np.isfinite(v)}
        if useless:
            raise ValueError(
                "Values of a baseline must be finite and not 0, to be divided by. "
                f"Received: {useless} for task '{task.name}'. Leave these metrics out."
            )


def table(results, baseline=None, title="model"):
    """Lines of text: a row for each loss and metric."""
    lines = [f"{'':32}{title:>12}" + (f"{'constant':>12}" if baseline else "")]
    for task, values in results.items():
        for name, value in values.items():
            constant = (baseline or {}).get(task, {}).get(name)
            column = "" if constant is None else f"{constant:12.4f}"
            lines.append(f"{task:14}{name:18}{value:12.4f}{column}")
    return "\n".join(lines)


def _common(task, baseline):
    return [m.name for m in task.metrics() if m.name in baseline.get(task.name, {})]


def _names(task):
    return ["loss", *(metric.name for metric in task.metrics())]
