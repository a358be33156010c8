import keras
from keras import ops


class Balancer(keras.layers.Layer):
    """Turns the losses of K tasks into one update. Base class; works in float32.

    A balancer is a layer so that its state is saved and restored with the model. One that weighs
    losses overrides `task_weights`, or `call` where its objective is no weighted sum. One that
    weighs gradients overrides `objectives` to return the K losses, each differentiated by itself,
    and `combine`.

    Call arguments:
        losses: float32 tensor `(K,)`, the unweighted loss of every task.

    Returns:
        Float32 scalar, the objective: `sum_k task_weights(losses)_k losses_k` (eq. 1).
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, losses):
        return ops.sum(self.task_weights(losses) * losses)

    def task_weights(self, losses):
        """The weight of every task in this step, `(K,)`; logged as `<task>_weight`."""
        return ops.ones_like(losses)

    def objectives(self, losses):
        """The scalars whose gradients `combine` wants. One, unless overridden."""
        return [self(losses)]

    def combine(self, gradients):
        """One gradient from those of the objectives.

        Args:
            gradients: a list, as long as `objectives`, of lists of one tensor (or `None`) for each
                trainable variable of the model.

        Returns:
            A list of one tensor (or `None`) for each trainable variable.
        """
        (gradient,) = gradients
        return gradient

    def end_epoch(self, losses):
        """Takes note of an epoch's mean training losses, a float32 array `(K,)`.

        Called outside the compiled step, after every epoch of `fit`.
        """
