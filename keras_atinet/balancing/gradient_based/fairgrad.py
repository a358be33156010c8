import keras

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.solvers.fairness import fair_weights


@keras.saving.register_keras_serializable(package="keras_atinet")
class FairGrad(GradientBalancer):
    """The update that shares the tasks' gains fairly, for a chosen kind of fairness:

    `d = sum_k w_k g_k` with `w > 0` and `G w = w^(-1 / alpha)`,

    so that a task whose loss falls by `g_k . d` has the weight `(g_k . d)^(-alpha)`. alpha = 1 is
    proportional fairness: `NashMTL` without its bound, whose direction does not change when losses
    are scaled. Towards 0 it is that of `Equal`; the greater alpha, the more the slowest task
    counts. The equation is the minimum of a strictly convex function, found by Newton's method. It
    has a solution unless some of the gradients cancel each other; there w is bounded, and d short.
    A gradient of zero takes no part: its weight is 0.

    d does not shrink with the gradients (alpha = 1: `|d| = sqrt(K)`). The authors' code multiplies
    it by K and clips it to norm 1; TorchJD takes it as it is, as does this.

    Cost: one backward pass and one gradient kept per task; 24 small linear systems.
    When to use it: to choose how far fairness goes; with an optimizer that scales its steps (Adam),
    or clipping.

    Args:
        alpha: float above 0, the kind of fairness. Defaults to 1. Solved
            to 1e-4 from 0.5 to 5; for far more or less, 24 steps may be too few.
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`.

    Raises:
        ValueError: if `alpha` is not above 0.

    Example:
        >>> model.compile("adam", balancer=keras_atinet.balancing.FairGrad(alpha=2.0))

    Reference: Fair Resource Allocation in Multi-Task Learning, Ban and Ji, ICML 2024, eq. 4.
    """

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        if not alpha > 0:
            raise ValueError(
                "`alpha` of `FairGrad` must be above 0. "
                f"Received: alpha={alpha}. 0 is the balancer `Equal`; the usual value is 1."
            )
        self.alpha = alpha

    def gradient_weights(self, gram, losses, present):
        return fair_weights(gram, self.alpha)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}
