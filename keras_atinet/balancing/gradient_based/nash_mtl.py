import keras
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.solvers.fairness import fair_weights
from keras_atinet.balancing.solvers.quadratic import normalize


@keras.saving.register_keras_serializable(package="keras_atinet")
class NashMTL(GradientBalancer):
    """The Nash bargaining solution: the update that most raises the product of the tasks' gains.

    `d = sum_k w_k g_k` with `w > 0` and `G w = 1 / w`,

    then shortened to `max_norm`: each task's gain `g_k . d` is 1 / w_k. Before, `|d| = sqrt(K)`,
    whatever the size of the gradients; the direction does not change when losses are scaled. The
    equation is the minimum of a strictly convex function, found by Newton's method. It has a
    solution unless some of the gradients cancel each other; there w is bounded, and d short. A
    gradient of zero takes no part: its weight is 0.

    Cost: one backward pass and one gradient kept per task; 24 small linear systems.
    When to use it: losses of different size that conflict, none to be favoured; with an optimizer
    that scales its steps (Adam), or a falling learning rate, as d does not shrink by itself.

    Args:
        max_norm: float, the length that d is shortened to; 0 for no bound. Defaults to 1.
        update_weights_every: int, steps between two solutions of the equation; in the steps
            between, w stays and d is still shortened. Defaults to 1.
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`.

    Raises:
        ValueError: if `max_norm` is below 0 or `update_weights_every` no whole number above 0.

    Example:
        >>> model.compile("adam", balancer="nashmtl")

    Reference: Multi-Task Learning as a Bargaining Game, Navon et al., ICML 2022.
    """

    def __init__(self, max_norm=1.0, update_weights_every=1, **kwargs):
        super().__init__(**kwargs)
        if not max_norm >= 0:
            raise ValueError(
                "`max_norm` of `NashMTL` must be 0 (no bound) or above. "
                f"Received: max_norm={max_norm}. The usual value is 1."
            )
        if update_weights_every < 1 or update_weights_every != int(update_weights_every):
            raise ValueError(
                "`update_weights_every` of `NashMTL` must be a whole number of steps, at least 1. "
                f"Received: update_weights_every={update_weights_every}."
            )
        self.max_norm = max_norm
        self.update_weights_every = update_weights_every

    def build(self, losses_shape):
        self.step = self.add_weight((), "zeros", dtype="int32", trainable=False, name="step")
        self.kept_weights = self.add_weight(
            losses_shape, "ones", trainable=False, name="kept_weights"
        )

    def gradient_weights(self, gram, losses, present):
        cosines, norms = normalize(gram)
        fresh = fair_weights(gram)
        due = ops.equal(self.step.value % self.update_weights_every, 0)
        # A task without a gradient, or with one that overflowed, keeps its weight.
        weights = ops.where(due & (norms > 0) & ops.isfinite(fresh), fresh, self.kept_weights.value)
        self.kept_weights.assign(weights)
        self.step.assign(self.step.value + 1)
        weights = ops.where(norms > 0, weights, 0.0)
        length = weights * norms
        length = ops.sqrt(ops.maximum(ops.sum(cosines * length * length[:, None]), 0.0))
        if self.max_norm > 0:
            weights = weights * self.max_norm / ops.maximum(length, self.max_norm)
        return weights

    def get_config(self):
        return {
            **super().get_config(),
            "max_norm": self.max_norm,
            "update_weights_every": self.update_weights_every,
        }
