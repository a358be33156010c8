import keras
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.solvers.arithmetic import multiply
from keras_atinet.balancing.solvers.eigen import eigen
from keras_atinet.balancing.solvers.quadratic import normalize

# Of the cosines' eigenvalues: below, they are rounding.
SMALLEST_EIGENVALUE = 1e-6
TOLERANCE = 1e-3
# Of the weights, by the sum of their absolute values.
SMALLEST_SUM = 1e-4


@keras.saving.register_keras_serializable(package="keras_atinet")
class ImpartialGradient(GradientBalancer):
    """The update that goes equally far along the gradient of every task (IMTL-G):

    `d = sum_k w_k g_k` with `d . g_j / |g_j|` the same for all j and `sum_k w_k = 1`.

    With unit vectors of cosines R it is `w_k ~ y_k / |g_k|`, `R y = 1`. Weights may be negative; if
    their sum before it is made 1 is too, d climbs every loss, as the paper's closed form does.
    The direction does not change when losses are scaled.

    Where the gradients depend on each other, y is the shortest solution. Where only d = 0 goes
    equally far along all (opposite gradients, or any that cancel each other), the weights are those
    of a sum that is 0. If the sum of the weights is 0 before it is made 1, all are 0. A gradient
    of zero takes no part.

    Cost: one backward pass and one gradient kept per task; eigenvalues of a small matrix.
    When to use it: losses of different size, whose gradients are not nearly opposite.

    Args:
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`.

    Example:
        >>> model.compile("adam", balancer="imtl_g")

    Reference: Towards Impartial Multi-task Learning, Liu et al., ICLR 2021.
    """

    def gradient_weights(self, gram, losses, present):
        cosines, norms = normalize(gram)
        ones = ops.cast(norms > 0, "float32")[:, None]
        values, vectors = eigen(cosines)
        inside = values > SMALLEST_EIGENVALUE
        parts = multiply(ops.transpose(vectors), ones)[:, 0]
        y = multiply(vectors, ops.where(inside, ops.divide_no_nan(parts, values), 0.0)[:, None])
        # What no R y reaches: a sum of unit vectors that is 0.
        rest = multiply(vectors, ops.where(inside, 0.0, parts)[:, None])
        y = ops.where(ops.max(ops.abs(rest)) > TOLERANCE, rest, y)[:, 0]
        weights = ops.divide_no_nan(ones[:, 0] * y, norms)
        total = ops.sum(weights)
        defined = ops.abs(total) > SMALLEST_SUM * ops.sum(ops.abs(weights))
        return ops.where(defined, ops.divide_no_nan(weights, total), 0.0)
