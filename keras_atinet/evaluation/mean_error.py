"""One number for the errors of all tasks."""

import keras
import numpy as np


class MeanError(keras.callbacks.Callback):
    """Logs `val_error` after every epoch: the geometric mean of the tasks' errors.

    `val_error = (e_1 ... e_K)^(1 / K)`, where `e_t` is the first metric of task t, or 1 - that if
    higher is better: 1 - mean IoU, metres, degrees. Its order of epochs does not depend on units.
    Unlike `val_loss`, it does not rise while a network that classifies ever better grows too sure
    of its errors, which the cross-entropy punishes.

    A task that is NaN, without any valid pixel in the validation data, or that has no metric is
    left out; `val_error` is NaN if no task is left.

    Put it in front of callbacks that read it, such as `ModelCheckpoint(monitor="val_error")`.

    Example:
        >>> model.fit(train, validation_data=val, callbacks=[MeanError()])
    """

    def on_epoch_end(self, epoch, logs=None):
        if logs is None or "val_loss" not in logs:
            return  # an epoch without validation
        errors = [self._error(task, logs) for task in self.model.tasks]
        errors = [error for error in errors if not np.isnan(error)]
        with np.errstate(divide="ignore"):  # an error of 0 makes the mean 0
            logs["val_error"] = float(np.exp(np.mean(np.log(errors)))) if errors else float("nan")

    def _error(self, task, logs):
        for metric in task.metrics()[:1]:
            value = float(logs.get(f"val_{task.name}_{metric.name}", "nan"))
            return 1 - value if metric.higher_is_better else value
        return float("nan")
