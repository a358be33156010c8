import keras
import numpy as np
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.solvers.arithmetic import multiply
from keras_atinet.balancing.solvers.eigen import eigen

# Of a square norm: below, an eigenvalue is rounding.
SMALLEST_EIGENVALUE = 1e-6


@keras.saving.register_keras_serializable(package="keras_atinet")
class AlignedMTL(GradientBalancer):
    """Makes the gradients orthogonal and equally long, at the least change, and adds them up:

    `w = sqrt(l_min) V L^(-1/2) V' 1` for `G = V L V'`,

    with the eigenvalues `L > 0` and the smallest of them `l_min`: all principal components of the
    gradients are shortened to the length of the shortest. Components of length 0 (gradients that
    depend on each other) are left out. Whether one is 0 is decided against the norms of the
    gradients that it mixes, so that a short gradient counts beside one a million times as long.

    The weights add up as for `Equal`, whose update it is for orthogonal gradients of one length;
    TorchJD and the paper with equal preferences divide by K.

    Cost: one backward pass and one gradient kept per task; eigenvalues of a small matrix.
    When to use it: losses of different size whose gradients conflict; when they are nearly
    parallel or opposite, steps are short.

    Args:
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`.

    Example:
        >>> model.compile("adam", balancer="aligned_mtl")

    Reference: Independent Component Alignment, Senushkin et al., CVPR 2023, algorithm 1.
    """

    def gradient_weights(self, gram, losses, present):
        gram = ops.divide_no_nan(gram, ops.max(ops.diagonal(gram)))
        norms = ops.sqrt(ops.diagonal(gram))
        values, vectors = eigen(gram)
        mixed = ops.sum(ops.abs(vectors) * norms[:, None], axis=0)
        known = values > SMALLEST_EIGENVALUE * mixed * mixed
        smallest = ops.min(ops.where(known, values, np.inf))
        shrink = ops.sqrt(ops.where(known, smallest / ops.where(known, values, 1.0), 0.0))
        return ops.sum(multiply(vectors * shrink, ops.transpose(vectors)), axis=1)
