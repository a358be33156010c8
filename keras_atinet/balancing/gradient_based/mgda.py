import keras
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.solvers.quadratic import min_norm_weights

NORMALIZATIONS = ("none", "l2", "loss", "loss+")


@keras.saving.register_keras_serializable(package="keras_atinet")
class MGDA(GradientBalancer):
    """Goes where every task descends, until none can without harm to another.

    `d = sum_k a_k g_k / n_k`, `a = argmin |d|` over `a >= 0`, `sum_k a_k = 1`:

    the shortest vector of the convex hull. It is 0 where no direction is good for all tasks
    (Pareto-stationary); elsewhere `g_k . d >= n_k |d|^2` for every task. Tasks with short gradients
    decide: a task that has been learned stops the others. That is what `normalization` is for.

    Cost: one backward pass and one gradient kept per task; `2^K` small linear systems.
    When to use it: few tasks of like scale, no task to be sacrificed.

    Args:
        normalization: the size `n_k` that gradients are divided by: `"none"` (1), `"l2"`
            (`|g_k|`), `"loss"` (`L_k`) or `"loss+"` (`L_k |g_k|`). Defaults to `"none"`.
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`.

    Raises:
        ValueError: if `normalization` is none of these.

    Example:
        >>> balancer = keras_atinet.balancing.MGDA("l2", over="bottleneck")  # MGDA-UB
        >>> model.compile("adam", balancer=balancer)

    Reference: Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS 2018,
    eq. 3, and their code for the normalizations; Desideri, Multiple-gradient descent algorithm,
    2012. The problem is solved exactly here, there by Frank-Wolfe.
    """

    def __init__(self, normalization="none", **kwargs):
        super().__init__(**kwargs)
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"`normalization` of `MGDA` must be one of {NORMALIZATIONS}. "
                f"Received: normalization={normalization!r}."
            )
        self.normalization = normalization

    def gradient_weights(self, gram, losses, present):
        norms = ops.sqrt(ops.diagonal(gram))
        sizes = {
            "none": ops.ones_like(norms),
            "l2": norms,
            "loss": losses,
            "loss+": losses * norms,
        }[self.normalization]
        normalized = ops.divide_no_nan(ops.divide_no_nan(gram, sizes[:, None]), sizes[None, :])
        return ops.divide_no_nan(min_norm_weights(normalized, present), sizes)

    def get_config(self):
        return {**super().get_config(), "normalization": self.normalization}
