import keras
from keras import ops


class Balancer(keras.layers.Layer):
    """Turns the losses of K tasks into one objective. Base class; works in float32.

    A balancer is a layer so that its state is saved and restored with the model; trainable weights
    of its own are trained by the model's optimizer. A loss-based one overrides
    `task_weights`, or `call` where its objective is not a weighted sum. A gradient-based one
    derives from `GradientBalancer`. A network for one task never asks its balancer.

    Call arguments:
        losses: float32 tensor `(K,)`, the unweighted loss of every task; 0 where it is absent.
        present: float32 tensor `(K,)`, 1 for a task with a valid pixel in this batch, else 0.

    Returns:
        Float32 scalar, the objective: `sum_k task_weights(losses, present)_k losses_k` (eq. 1).
    """

    needs_gradients = False

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, losses, present):
        return ops.sum(self.task_weights(losses, present) * losses)

    def task_weights(self, losses, present):
        """The weight of every task in this step, `(K,)`; logged as `<task>_weight`.

        Called after `call`. Where the objective is not a weighted sum, these are its derivatives
        with respect to the losses.
        """
        return ops.ones_like(losses)

    def end_epoch(self, losses):
        """Updates its state from an epoch's mean training losses, a float32 array `(K,)`.

        A loss is 0 where a task had no valid pixel in the epoch.

        Called outside the compiled step, after every epoch of `fit`.
        """

    def restart(self):
        """Resets its state: its weights become those of a new balancer."""
        new = type(self).from_config(self.get_config())
        new.build_from_config(self.get_build_config())
        for weight, value in zip(self.weights, new.weights, strict=True):
            weight.assign(value)
