import keras
from keras import ops

from keras_atinet.balancing.balancer import Balancer
from keras_atinet.balancing.solvers.arithmetic import (
    positive,
    present_softmax,
    safe_log,
    safe_log_slope,
)

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Adam's usual constants.


@keras.saving.register_keras_serializable(package="keras_atinet")
class FAMO(Balancer):
    """Lowers all losses at the same relative rate, from their values alone. In every step

    `O = c sum_k z_k log L_k`, `z = softmax(w)`, `c = 1 / sum_k (z_k / L_k)`,

    with c a constant to the gradient, so that the weights `c z_k / L_k` sum to 1. The logits w then
    take a step of their own Adam, along `J^T delta + weight_decay w`, where J is the derivative of
    the softmax and `delta_k` what `log L_k` fell by: a task whose loss falls fast loses weight.

    One difference to the paper's code: that computes the losses of the same batch again after the
    update, a second forward pass. Here the loss after the update is that of the next step, on the
    next batch: nothing is computed twice, and `delta` also has the difference between two batches
    in it, which averages out. With one and the same batch in every step the two are equal.

    The softmax is over the tasks that are present. The logit of an absent task and its Adam rest;
    its next `delta` counts from the step that it was last seen in. Losses must not be negative; one
    up to 1e-8 counts as 1e-8, and its task gets no gradient in this step.

    Costs 5 K numbers. For losses in different units that fall at different speeds.

    Args:
        learning_rate: float above 0, of the logits. Defaults to 0.025.
        weight_decay: float from 0, draws the logits together; the paper's gamma. Defaults to 0.001.

    Raises:
        ValueError: if `learning_rate` or `weight_decay` is out of its range.

    Example:
        >>> model.compile("adam", balancer="famo")

    Reference: Liu, Feng, Stone and Liu, FAMO: Fast Adaptive Multitask Optimization, NeurIPS 2023.
    """

    def __init__(self, learning_rate=0.025, weight_decay=0.001, **kwargs):
        super().__init__(**kwargs)
        if not learning_rate > 0 or not weight_decay >= 0:
            raise ValueError(
                "`FAMO` needs a `learning_rate` above 0 and a `weight_decay` not below 0. "
                f"Received: learning_rate={learning_rate}, weight_decay={weight_decay}. "
                "The defaults are 0.025 and 0.001."
            )
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay

    def build(self, losses_shape):
        def zeros(name):
            return self.add_weight(
                shape=losses_shape, initializer="zeros", trainable=False, name=name
            )

        self.logits = zeros("logits")
        self.momentums, self.velocities = zeros("momentums"), zeros("velocities")
        self.last_logs = zeros("last_logs")
        self.seen = zeros("seen")  # How many steps each task was present in.

    def call(self, losses, present):
        logs = safe_log(losses)
        self._update_logits(ops.stop_gradient(logs), present)
        z = present_softmax(self.logits.value, present)
        return self._scale(ops.stop_gradient(losses), z) * ops.sum(z * logs)

    def task_weights(self, losses, present):
        z = present_softmax(self.logits.value, present)
        return self._scale(losses, z) * z * safe_log_slope(losses)

    def _scale(self, losses, z):
        return ops.divide_no_nan(1.0, ops.sum(z / positive(losses)))

    def _update_logits(self, logs, present):
        """The step of Adam that the losses of the last step and of this one make up."""
        known = present * ops.cast(self.seen.value > 0, "float32")
        delta = known * (self.last_logs.value - logs)
        z = present_softmax(self.logits.value, known)
        gradient = z * (delta - ops.sum(z * delta)) + self.weight_decay * self.logits.value

        momentums = BETA_1 * self.momentums.value + (1 - BETA_1) * gradient
        velocities = BETA_2 * self.velocities.value + (1 - BETA_2) * ops.square(gradient)
        steps = ops.maximum(self.seen.value, 1.0)  # The first batch with a task is not a step.
        mean = momentums / (1 - ops.power(BETA_1, steps))
        spread = ops.sqrt(velocities / (1 - ops.power(BETA_2, steps)))
        logits = self.logits.value - self.learning_rate * mean / (spread + EPSILON)

        for variable, value, moves in (
            (self.logits, logits, known),
            (self.momentums, momentums, known),
            (self.velocities, velocities, known),
            (self.last_logs, logs, present),
            (self.seen, self.seen.value + 1, present),
        ):
            variable.assign(ops.where(moves > 0, value, variable.value))

    def get_config(self):
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
        }
