import keras
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.solvers.quadratic import all_supports, normalize, solve_on_supports

TOLERANCE = 1e-3


@keras.saving.register_keras_serializable(package="keras_atinet")
class CAGrad(GradientBalancer):
    """The update near the mean gradient that helps the worst-off task most.

    With K tasks and the mean gradient `g_0`, the update is K d, where

    `d = argmax_d min_k g_k . d` over d with `|d - g_0| <= c |g_0|`,

    which is `d = g_0 + c |g_0| g_w / |g_w|` for the mixture `g_w = sum_k w_k g_k` of the simplex
    that minimizes `g_w . g_0 + c |g_0| |g_w|`. Which tasks are in the mixture is found by trying
    every set of them (`2^K`, hence for up to about 10 tasks); then d has a closed form. Where the
    gradients cancel each other (`g_w = 0`) there is no such d, and the update is `K g_0`, that of
    `Equal`. A gradient of zero takes no part.

    K d and not d, so that `c=0` is `Equal`. The authors' code takes `K d / (1 + c^2)` by default;
    TorchJD takes d.

    Cost: one backward pass and one gradient kept per task; `2^K` small linear systems.
    When to use it: the sum of the losses is what counts, but its descent neglects a task.

    Args:
        c: float in [0, 1), how far from the mean gradient the update may go. Defaults to 0.5
            (the paper: 0.4 on NYUv2 and Cityscapes).
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`.

    Raises:
        ValueError: if `c` is not in [0, 1).

    Example:
        >>> model.compile("adam", balancer=keras_atinet.balancing.CAGrad(c=0.4))

    Reference: Conflict-Averse Gradient Descent, Liu et al., NeurIPS 2021.
    """

    def __init__(self, c=0.5, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= c < 1:
            raise ValueError(
                "`c` of `CAGrad` must be in [0, 1): from 1 on, the update may oppose the mean "
                f"gradient. Received: c={c}. The usual values are 0.4 and 0.5."
            )
        self.c = c

    def gradient_weights(self, gram, losses, present):
        cosines, norms = normalize(gram)
        known = ops.cast(norms > 0, "float32")
        norms = ops.divide_no_nan(norms, ops.max(norms))
        inverse = ops.divide_no_nan(known, norms)
        mean = norms / ops.maximum(ops.sum(known), 1.0)
        slope = _times(cosines, mean)
        radius = self.c * ops.sqrt(ops.maximum(ops.sum(mean * slope), 0.0))
        # d = sum_k (mean_k + x_k) u_k with |sum_k x_k u_k| = radius and, for some m, on the
        # support of x: u_k . d = m / |g_k|, that is R x = m / |g| - slope. Elsewhere u_k . d is
        # larger.
        supports = ops.convert_to_tensor(all_supports(gram.shape[0]))
        right = ops.stack([inverse, slope], axis=1)
        p, q = ops.unstack(solve_on_supports(cosines, right, supports), axis=2)
        p, q = supports * p, supports * q
        size = ops.sum(inverse * p, axis=1, keepdims=True)
        center = ops.divide_no_nan(ops.sum(inverse * q, axis=1, keepdims=True), size)
        room = radius * radius - _square(cosines, center * p - q)
        worst = center + ops.sqrt(ops.maximum(ops.divide_no_nan(room, size), 0.0))
        x = worst * p - q
        slack = slope + _times(cosines, x) - worst * inverse
        violation = ops.max(known * ops.abs(ops.minimum(x, slack)), axis=1)
        violation = violation + ops.abs(ops.sqrt(_square(cosines, x)[:, 0]) - radius)
        # Among equals the smallest.
        best = ops.argmin(ops.maximum(violation, 1e-6 * radius))
        found = ops.take(violation, best) <= TOLERANCE * radius
        x = ops.where(found, ops.maximum(ops.take(x, best, axis=0), 0.0), 0.0)
        return 1 + ops.maximum(ops.sum(known), 1.0) * x * inverse

    def get_config(self):
        return {**super().get_config(), "c": self.c}


def _times(matrix, vectors):
    """`A v` for each v, `(..., K)`."""
    return ops.sum(matrix * vectors[..., None, :], axis=-1)


def _square(matrix, vectors):
    """`v' A v` for each v, `(..., 1)`; not below 0."""
    return ops.maximum(ops.sum(vectors * _times(matrix, vectors), axis=-1, keepdims=True), 0.0)
