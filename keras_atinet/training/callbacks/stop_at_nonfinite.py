import heapq
import threading
import warnings

import keras
import numpy as np


class FiniteLosses(keras.callbacks.Callback):
    """Stops training where the loss of a task, or the gradient, is NaN or infinite.

    `MultiTaskModel.fit` adds it unless the model is compiled with `on_nonfinite="skip"`. Such a
    step makes the `loss` of its epoch infinite (`CommonStep.train_logs`).

    Raises:
        FloatingPointError: within two steps after it (with `steps_per_execution`, two groups of
            steps), naming task and step. On one device none of these steps is taken.
    """

    async_safe = True  # reads logs only

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._waiting, self._lock = epoch, [], threading.Lock()
        self._begin = 0  # the step after those that were checked
        # On JAX `self.model` syncs the state, which must not happen while a step replaces it.
        self._names = [task.name for task in self.model.all_tasks]
        self._num_replicas = self.model.num_replicas

    def on_train_batch_end(self, batch, logs=None):
        # Keras calls this from threads on JAX, at times a step before the one that it follows.
        with self._lock:
            heapq.heappush(self._waiting, (batch, logs or {}))
            # Reading the last steps' logs would wait for the device; those before them are there.
            if len(self._waiting) > 2:
                self._check(*heapq.heappop(self._waiting))

    def on_epoch_end(self, epoch, logs=None):
        for step in sorted(self._waiting):
            self._check(*step)

    def _check(self, batch, logs):
        steps, self._begin = range(self._begin, batch + 1), batch + 1
        if not np.isinf(float(logs.get("loss", 0))):
            return
        names = [
            name
            for name in self._names
            if any(np.isinf(logs.get(f"{name}{kind}loss", 0)) for kind in ("_", "_auxiliary_"))
        ]
        if names:
            what = f"The loss of {', '.join(map(repr, names))} is not finite"
            check = "the targets of these tasks"
        else:
            what = "The losses of the tasks are finite, but not their gradient or a layer's loss,"
            check = "roots, logarithms and quotients of zero in layers and losses"
        way_out = ', or go on without such steps: `compile(on_nonfinite="skip")`.'
        raise FloatingPointError(
            f"{what} {self._where(steps)} of epoch {self._epoch + 1}. {self._weights()} "
            f"Check {check} and the learning rate{'.' if self._num_replicas > 1 else way_out}"
        )

    def _where(self, steps):
        if len(steps) == 1:
            return f"at step {steps[0] + 1}"
        return f"at one of the steps {steps[0] + 1} to {steps[-1] + 1}"

    def _weights(self):
        if self._num_replicas > 1:
            return (
                f"It was taken on all {self._num_replicas} replicas, so that the weights are not "
                "finite either: load some from before."
            )
        return "No step was taken from it on: the weights are those from before it."


class FiniteWeights(keras.callbacks.Callback):
    """Stops training where weights are no numbers, before it and after each epoch.

    `MultiTaskModel.fit` adds it, before the user's callbacks, so that these save no such weights.
    It warns of an epoch in which a `LossScaleOptimizer` left out every step: it does so with
    gradients that overflow, and lowers its scale, but no scale helps where they are NaN.

    Raises:
        FloatingPointError: if a weight is NaN, or one that is trained infinite.
    """

    def on_train_begin(self, logs=None):
        self._check("before training began")

    def on_epoch_end(self, epoch, logs=None):
        self._check(f"at the end of epoch {epoch + 1}")
        # The weight of a task is that of the last step taken; losses are there without any.
        weights = [logs.get(f"{task.name}_weight", 0) for task in self.model.tasks]
        if np.isnan(weights).any() and np.isfinite(logs.get("loss", np.nan)):
            warnings.warn(
                f"No step of epoch {epoch + 1} was taken: its gradients were not finite under the "
                "scale of the losses. Some steps that lower the scale are usual at the start. If "
                "this goes on, the gradients are NaN: look for it in float32.",
                stacklevel=2,
            )

    def _check(self, when):
        paths = [variable.path for variable in self.model.weights if not _is_fine(variable)]
        if paths:
            others = f" and {len(paths) - 1} more variables" if len(paths) > 1 else ""
            raise FloatingPointError(
                f"The weights were not finite {when}. Received: NaN or infinity in "
                f"'{paths[0]}'{others}. Load weights from before, and lower the learning rate."
            )


def _is_fine(variable):
    if not keras.backend.is_float_dtype(variable.dtype):
        return True
    value = keras.ops.convert_to_numpy(variable)
    # Infinity may be where a layer's own state begins, the least of no values.
    return bool(np.isfinite(value).all() if variable.trainable else not np.isnan(value).any())
