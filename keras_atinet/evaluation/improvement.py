"""How much better than a baseline all tasks together are."""

import warnings

import keras
import numpy as np

from keras_atinet.evaluation.results import is_missing


def delta_m(results, baseline, tasks, average="metrics"):
    """How much better than a baseline, in percent, 0 if equal.

    `delta_m = 100 mean(s (M - B) / B)` over the metrics in both, with `s = 1` where higher is
    better and -1 elsewhere. Two definitions are in use, so name the one that you print. NaN if a
    metric of the baseline is 0, or one of the results NaN.

    A task without any valid pixel, all of whose results or of whose baseline are NaN, is left out
    of the mean, with a warning.

    Args:
        results, baseline: dicts, task name -> metric name -> value, as from `evaluate`; other
            keys (`"loss"`) are left out.
        tasks: list of `Task`.
        average: `"metrics"` (the mean over all metrics) or `"tasks"` (the mean over the tasks of
            the mean over a task's metrics).

    Raises:
        ValueError: if no task is left.

    Reference: Maninis et al., "Attentive Single-Tasking of Multiple Tasks", CVPR 2019, eq. 8.
    """
    present = present_tasks(results, baseline, tasks)
    if not present:
        raise ValueError(
            "delta-m is a mean over tasks that have results. "
            f"Received: no valid pixel of any of the tasks {[task.name for task in tasks]}. "
            "Evaluate on data with labels."
        )
    if len(present) < len(tasks):
        warnings.warn(_left_out(tasks, present), stacklevel=2)
    gains = []
    for task in present:
        signs = {m.name: 1 if m.higher_is_better else -1 for m in task.metrics()}
        values, base = results[task.name], baseline[task.name]
        names = [name for name in signs if name in values and name in base]
        gains.append([signs[name] * _relative(values[name], base[name]) for name in names])
    if average == "tasks":
        return float(100 * np.mean([np.mean(gain) for gain in gains]))
    return float(100 * np.mean(np.concatenate(gains)))


def present_tasks(results, baseline, tasks):
    """The tasks of which both results and baseline have a valid pixel."""
    return [
        task
        for task in tasks
        if not is_missing(results[task.name]) and not is_missing(baseline[task.name])
    ]


def _left_out(tasks, present):
    names = [task.name for task in tasks if task not in present]
    rest = ", ".join(task.name for task in present) or "nothing, NaN"
    return f"delta-m leaves out {', '.join(names)}: no pixel is valid. It is the mean over {rest}."


def _relative(value, base):
    return (value - base) / base if base else float("nan")


class DeltaM(keras.callbacks.Callback):
    """Logs `val_delta_m` after every epoch: how much better than a baseline all tasks together are.

    A task without any valid pixel in the validation data is left out, with a warning; `val_delta_m`
    is NaN if there is no other.

    Put it in front of callbacks that read it, such as
    `ModelCheckpoint(monitor="val_delta_m", mode="max")`.

    Args:
        baseline: dict, task name -> metric name -> value, as from `evaluate`; metrics that are not
            in it do not count.
        average: `"metrics"` or `"tasks"`, see `delta_m`. Defaults to `"metrics"`.

    Raises:
        ValueError: at `fit`, if the baseline lacks a task of the model or holds a value that is 0
            or not finite, or the model was compiled without the metrics that are in it.

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
        self._warned = False
        check_baseline(self.baseline, self._tasks)

    def on_epoch_end(self, epoch, logs=None):
        if logs is None or "val_loss" not in logs:
            return  # an epoch without validation
        results = {task.name: self._results(task, logs) for task in self._tasks}
        present = present_tasks(results, self.baseline, self._tasks)
        if len(present) < len(self._tasks) and not self._warned:
            warnings.warn(_left_out(self._tasks, present), stacklevel=2)
            self._warned = True
        logs["val_delta_m"] = (
            delta_m(results, self.baseline, present, self.average) if present else float("nan")
        )

    def _results(self, task, logs):
        # Not those of the baseline only, which may all be NaN because the network predicts NaN.
        names = [metric.name for metric in task.metrics()]
        logged = {name: f"val_{task.name}_{name}" for name in names}
        values = {name: float(logs[log]) for name, log in logged.items() if log in logs}
        if not set(values) & set(self.baseline[task.name]):
            raise ValueError(
                "`DeltaM` compares metrics in the logs with the baseline's. Received: no "
                f"{[logged[name] for name in _common(task, self.baseline)]} in the logs. Compile "
                "the model with these metrics, or leave out `metrics`."
            )
        return values


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


def _common(task, baseline):
    return [m.name for m in task.metrics() if m.name in baseline.get(task.name, {})]
