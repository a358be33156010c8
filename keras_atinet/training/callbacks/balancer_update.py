import keras
import numpy as np


class BalancerUpdate(keras.callbacks.Callback):
    """Tells the model's balancer the mean training losses of every epoch.

    `MultiTaskModel.fit` adds it, before the user's callbacks, so that what they save is up to date.
    """

    def on_epoch_end(self, epoch, logs=None):
        losses = np.array([logs[f"{task.name}_loss"] for task in self.model.tasks], "float32")
        # As in a step, the loss of a task without a valid pixel is 0.
        self.model.balancer.end_epoch(np.where(np.isnan(losses), 0, losses))
