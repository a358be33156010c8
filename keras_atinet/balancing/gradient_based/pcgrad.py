import keras
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.solvers.arithmetic import multiply
from keras_atinet.balancing.solvers.random import Random, random_orders


@keras.saving.register_keras_serializable(package="keras_atinet")
class PCGrad(Random, GradientBalancer):
    """Takes out of every gradient what opposes the others, one after the other.

    `g'_k = g_k`; for all `j != k` in random order `g'_k -= min(g'_k . g_j, 0) / |g_j|^2 g_j`;

    the update is `sum_k g'_k`. Without conflict it is the plain sum. Every task draws an order of
    its own in every step.

    Cost: one backward pass and one gradient kept per task.
    When to use it: tasks that conflict now and then, two above all; nothing to tune.

    Args:
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`; `seed`, an optional int.

    Example:
        >>> model.compile("adam", balancer="pcgrad")

    Reference: Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020, algorithm 1.
    """

    def gradient_weights(self, gram, losses, present):
        return surgery(gram, random_orders(gram.shape[0], self.seed_generator))


def surgery(gram, orders):
    """The weights of the `g_j` in `sum_k g'_k`.

    Args:
        gram: float32 tensor `(K, K)`, `g_j . g_k`.
        orders: float32 tensor `(K, K, K)`, one-hot: `[step, k, j]` where k meets j.

    Returns:
        Float32 tensor `(K,)`.
    """
    squares = ops.diagonal(gram)
    coefficients = ops.eye(gram.shape[0])  # Row k is g'_k, in terms of the g_j.
    for others in ops.unstack(orders):
        inner = ops.sum(others * multiply(coefficients, gram), axis=1)
        amount = ops.divide_no_nan(ops.minimum(inner, 0.0), ops.sum(others * squares, axis=1))
        coefficients -= amount[:, None] * others
    return ops.sum(coefficients, axis=0)
