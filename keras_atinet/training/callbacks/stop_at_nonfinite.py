import heapq
import threading

import keras
import numpy as np


class FiniteLosses(keras.callbacks.Callback):
    """Stops training where the loss of a task is NaN or infinite.

    `MultiTaskModel.fit` adds it unless the model is compiled with `on_nonfinite="skip"`.

    Raises:
        FloatingPointError: within two steps after it, naming task and step.
    """

    async_safe = True  # reads logs only

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._waiting, self._lock = epoch, [], threading.Lock()
        # On JAX `self.model` syncs the state, which must not happen while a step replaces it.
        self._names = [task.name for task in self.model.tasks]

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
        for name in self._names:
            loss = float(logs.get(f"{name}_loss", 0))
            # NaN also stands for a task without a valid pixel so far, which is in no objective.
            if not np.isfinite(loss) and not np.isfinite(float(logs.get("loss", loss))):
                raise FloatingPointError(
                    f"The loss of task '{name}' is not finite at step {batch + 1} of epoch "
                    f"{self._epoch + 1}. Received: {loss}. The step was not taken: the weights are "
                    "those from before it. Check this task's targets and the learning rate, or go "
                    'on without such steps: `compile(on_nonfinite="skip")`.'
                )
