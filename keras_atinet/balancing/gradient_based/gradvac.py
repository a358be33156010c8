import keras
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.solvers.arithmetic import multiply
from keras_atinet.balancing.solvers.quadratic import normalize
from keras_atinet.balancing.solvers.random import Random, random_orders

# Cosines in float32 are known to about 1e-7, and so are squared lengths made of them.
SMALLEST_SQUARE = 1e-6


@keras.saving.register_keras_serializable(package="keras_atinet")
class GradVac(Random, GradientBalancer):
    """Turns gradients towards each other, up to the cosine that is usual for the two tasks.

    `g'_k = g_k`; for all `j != k` in random order, with the cosine `c` of `g'_k` and `g_j` and the
    usual one `t = t_kj`: where `c < t`,

    `g'_k += |g'_k| (t sqrt(1 - c^2) - c sqrt(1 - t^2)) / (|g_j| sqrt(1 - t^2)) g_j`

    and then `t_kj = (1 - beta) t + beta c`, from 0. The update is `sum_k g'_k`. `PCGrad` is
    `beta = 0`. Cosines are those over all that the tasks share at once ("whole model" there).

    Cost: one backward pass and one gradient kept per task; the state `(K, K)`.
    When to use it: related tasks, whose gradients agree more often than not.

    Args:
        beta: float in [0, 1], how fast the usual cosines follow. Defaults to 0.01.
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`; `seed`, an optional int.

    Raises:
        ValueError: if `beta` is outside [0, 1].

    Example:
        >>> model.compile("adam", balancer=keras_atinet.balancing.GradVac(beta=0.1))

    Reference: Wang et al., Gradient Vaccine, ICLR 2021, eq. 2, 3 and algorithm 1.
    """

    def __init__(self, beta=0.01, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= beta <= 1:
            raise ValueError(
                f"`beta` of `GradVac` must be in [0, 1]. Received: beta={beta}. "
                "A small one, like 0.01, averages over many steps."
            )
        self.beta = beta

    def build(self, losses_shape):
        self.usual_cosines = self.add_weight(
            shape=(*losses_shape, *losses_shape),
            initializer="zeros",
            trainable=False,
            name="usual_cosines",
        )

    def gradient_weights(self, gram, losses, present):
        usual = ops.copy(self.usual_cosines)
        orders = random_orders(gram.shape[0], self.seed_generator)
        weights, cosines = vaccination(gram, usual, orders)
        met = present[:, None] * present[None, :] * ops.sum(orders, axis=0)
        updated = usual + self.beta * met * (cosines - usual)
        # Mixed precision may overflow in a step, which is then left out.
        self.usual_cosines.assign(ops.where(ops.all(ops.isfinite(gram)), updated, usual))
        return weights

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}


def vaccination(gram, usual, orders):
    """The weights of the `g_j` in `sum_k g'_k`, `(K,)`, and the cosines that were met, `(K, K)`.

    Args:
        gram: float32 tensor `(K, K)`, `g_j . g_k`.
        usual: float32 tensor `(K, K)`, the cosines t.
        orders: float32 tensor `(K, K, K)`, one-hot: `[step, k, j]` where k meets j.
    """
    cosines, norms = normalize(gram)
    known = ops.cast(norms > 0, "float32")
    # Row k is g'_k / |g_k|, in terms of the g_j / |g_j|; a zero gradient has no direction.
    coefficients = ops.eye(gram.shape[0]) * known
    met = ops.zeros_like(usual)
    for others in ops.unstack(orders):
        products = multiply(coefficients, cosines)
        square = ops.sum(products * coefficients, axis=1)
        length = ops.sqrt(ops.where(square > SMALLEST_SQUARE, square, 0.0))
        c = ops.divide_no_nan(ops.sum(others * products, axis=1), length)
        c = ops.clip(c, -1.0, 1.0)
        t = ops.sum(others * usual, axis=1)
        across = ops.sqrt(ops.maximum(1 - t * t, SMALLEST_SQUARE))
        amount = length * (t * ops.sqrt(1 - c * c) - c * across) / across
        coefficients += ops.where(c < t, amount, 0.0)[:, None] * others * known
        met += others * c[:, None]
    return ops.divide_no_nan(ops.sum(norms[:, None] * coefficients, axis=0), norms), met
