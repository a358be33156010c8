import keras
import numpy as np


class BalancerUpdate(keras.callbacks.Callback):
    """Tells the model's balancer the mean training losses of every epoch, auxiliary ones included.

    `MultiTaskModel.fit` adds it, before the user's callbacks, so that what they save is up to date.
    """

    def on_epoch_end(self, epoch, logs=None):
        weight = self.model.auxiliary_weight
        losses = [
            logs[f"{task.name}_loss"] + weight * logs.get(f"{task.name}_auxiliary_loss", 0)
            for task in self.model.tasks
        ]
        losses = np.array(losses, "float32")
        # As in a step, the loss of a task without a valid pixel is 0.
        self.model.balancer.end_epoch(np.where(np.isnan(losses), 0, losses))
