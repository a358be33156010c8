import keras
import numpy as np


class BalancerUpdate(keras.callbacks.Callback):
    """Tells the model's balancer the mean training losses of every epoch.

    `MultiTaskModel.fit` adds it, before the user's callbacks, so that what they save is up to date.
    """

    def on_epoch_end(self, epoch, logs=None):
        losses = [logs[f"{task.name}_loss"] for task in self.model.tasks]
        self.model.balancer.end_epoch(np.asarray(losses, "float32"))
