import keras
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer

# A negative weight would train away from its task.
SMALLEST_WEIGHT = 1e-3


@keras.saving.register_keras_serializable(package="keras_atinet")
class GradNorm(GradientBalancer):
    """Learns weights under which slow tasks have long gradients, and fast ones short.

    With the norms `G_k = w_k |g_k|` and the training rates `r_k = (L_k / L_k(0)) / mean_j (L_j /
    L_j(0))`, every step descends by w, of the target as a constant,

    `sum_k |G_k - mean_j(G_j) r_k^alpha|`, that is
    `w_k -= learning_rate |g_k| sign(G_k - mean_j(G_j) r_k^alpha)`,

    and scales w to the sum K. The network takes the step with the w of before. `L_k(0)` is the
    loss in the first batch that has the task. Weights are not allowed below 0.001. An absent task
    keeps its weight.

    The paper takes the gradients of the last shared layer alone, to save time; here they are those
    of all that the tasks share, which is longer: a smaller `learning_rate` may be needed. What
    belongs to one task alone is trained without the weight.

    Cost: one backward pass and one gradient kept per task; the state `(2, K)`.
    When to use it: losses of very different scale or speed.

    Args:
        alpha: float, not negative: how strongly slow tasks are favoured; the more the tasks differ,
            the higher. Defaults to 1.5.
        learning_rate: float above 0, of the weights. Defaults to 0.025.
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`.

    Raises:
        ValueError: if `alpha` is below 0 or `learning_rate` not above 0.

    Example:
        >>> model.compile("adam", balancer=keras_atinet.balancing.GradNorm(alpha=0.5))

    Reference: Chen et al., GradNorm, ICML 2018, eq. 1, 2 and algorithm 1.
    """

    def __init__(self, alpha=1.5, learning_rate=0.025, **kwargs):
        super().__init__(**kwargs)
        if not (alpha >= 0 and learning_rate > 0):
            raise ValueError(
                "`alpha` of `GradNorm` must not be below 0, and `learning_rate` must be above 0. "
                f"Received: alpha={alpha}, learning_rate={learning_rate}. "
                "The usual values are 1.5 and 0.025."
            )
        self.alpha = alpha
        self.learning_rate = learning_rate

    def build(self, losses_shape):
        self.current_weights = self.add_weight(
            shape=losses_shape, initializer="ones", trainable=False, name="current_weights"
        )
        # 0 stands for a task that has not been seen.
        self.initial_losses = self.add_weight(
            shape=losses_shape, initializer="zeros", trainable=False, name="initial_losses"
        )

    def gradient_weights(self, gram, losses, present):
        weights, initial = ops.copy(self.current_weights), ops.copy(self.initial_losses)
        initial = ops.where(initial > 0, initial, present * losses)
        updated = self._updated(weights, ops.sqrt(ops.diagonal(gram)), losses, initial, present)
        self.initial_losses.assign(initial)
        # Mixed precision may overflow in a step, which is then left out.
        self.current_weights.assign(ops.where(ops.all(ops.isfinite(updated)), updated, weights))
        return weights

    def _updated(self, weights, norms, losses, initial, present):
        def mean(values):
            return ops.divide_no_nan(ops.sum(present * values), ops.sum(present))

        ratios = ops.where(initial > 0, ops.divide_no_nan(losses, initial), 1.0)
        rates = ops.divide_no_nan(ratios, mean(ratios))
        target = mean(weights * norms) * rates**self.alpha
        gradient = norms * ops.sign(weights * norms - target)
        updated = ops.maximum(weights - self.learning_rate * gradient, SMALLEST_WEIGHT)
        left = weights.shape[0] - ops.sum((1 - present) * weights)
        updated *= ops.divide_no_nan(left, ops.sum(present * updated))
        return ops.where(present > 0, updated, weights)

    def get_config(self):
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "learning_rate": self.learning_rate,
        }
