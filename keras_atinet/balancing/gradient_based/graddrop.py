import keras
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.solvers.random import Random


@keras.saving.register_keras_serializable(package="keras_atinet")
class GradDrop(Random, GradientBalancer):
    """Picks a sign for every element, at random by how much speaks for it, and drops the other.

    `P = (1 + sum_k g_k / sum_k |g_k|) / 2`, `U` uniform in [0, 1), both per element;

    `m_k = [P > U] [g_k > 0] + [P < U] [g_k < 0]`; the update is `sum_k (l + (1 - l) m_k) g_k`.

    Where all tasks agree it is the plain sum. `over="bottleneck"` is near to the paper, which
    drops in the gradients of activations, but joins the images of a batch before.

    Cost: one backward pass and one gradient kept per task; random numbers for every element.
    When to use it: many tasks, long training; a regularizer as much as a balancer.

    Args:
        leak: float in [0, 1], l: the share of a dropped gradient that passes. Defaults to 0.
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`; `seed`, an optional int.

    Raises:
        ValueError: if `leak` is outside [0, 1].

    Example:
        >>> balancer = keras_atinet.balancing.GradDrop(leak=0.1, over="bottleneck")
        >>> model.compile("adam", balancer=balancer)

    Reference: Chen et al., Just Pick a Sign, NeurIPS 2020, eq. 1 and algorithm 1.
    """

    def __init__(self, leak=0.0, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= leak <= 1:
            raise ValueError(
                f"`leak` of `GradDrop` must be in [0, 1]. Received: leak={leak}. "
                "0 drops a gradient, 1 drops none."
            )
        self.leak = leak

    def combine(self, gradients, weights):
        return [self._combine_one(column) for column in zip(*gradients, strict=True)]

    def _combine_one(self, column):
        known = [gradient for gradient in column if gradient is not None]
        if not known:
            return None
        uniform = keras.random.uniform(
            ops.shape(known[0]), dtype="float32", seed=self.seed_generator
        )
        rows = ops.cast(ops.stack(known), "float32")
        return ops.cast(sign_dropout(rows, uniform, self.leak), known[0].dtype)

    def get_config(self):
        return {**super().get_config(), "leak": self.leak}


def sign_dropout(gradients, uniform, leak):
    """`sum_k (l + (1 - l) m_k) g_k`.

    Args:
        gradients: float32 tensor `(K, ...)`.
        uniform: float32 tensor `(...)`, U.
        leak: float, l.

    Returns:
        Float32 tensor `(...)`.
    """
    total, size = ops.sum(gradients, axis=0), ops.sum(ops.abs(gradients), axis=0)
    purity = (1 + ops.divide_no_nan(total, size)) / 2
    # What the sign picked would leave: the positive parts, the negative ones, or nothing.
    positive = ops.where(purity > uniform, ops.maximum(gradients, 0.0), 0.0)
    negative = ops.where(purity < uniform, ops.minimum(gradients, 0.0), 0.0)
    return leak * total + (1 - leak) * ops.sum(positive + negative, axis=0)
