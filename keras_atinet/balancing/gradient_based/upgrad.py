import keras
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.solvers.quadratic import nonnegative_quadratic, normalize


@keras.saving.register_keras_serializable(package="keras_atinet")
class UPGrad(GradientBalancer):
    """Projects every gradient to where it harms no task, and adds up the projections:

    `sum_k pi(g_k)`, `pi(g) = argmin_d |d - g|` over d with `d . g_j >= 0` for every j.

    The update never opposes a gradient, and is that of `Equal` while no two conflict. Scaling one
    loss scales no more than the projection of its gradient. For it, `pi(g_k) = g_k + sum_j v_j g_j`
    with the v >= 0 that makes it shortest: K quadratic problems, solved exactly on the K x K inner
    products by trying every set of active constraints (`2^K`, hence for up to about 10 tasks).

    The paper, and TorchJD, take the mean of the projections, not the sum.

    Cost: one backward pass and one gradient kept per task; `2^K` small linear systems.
    When to use it: tasks conflict, and none may be made worse, however small its loss.

    Args:
        **kwargs: `over`, `diagnostics`, as for `GradientBalancer`.

    Example:
        >>> model.compile("adam", balancer="upgrad")

    Reference: Jacobian Descent for Multi-Objective Optimization, Quinton and Rey, 2024.
    """

    def gradient_weights(self, gram, losses, present):
        cosines, norms = normalize(gram)
        # By unit vectors: u_k + sum_j z_jk u_j opposes no u_j.
        z = nonnegative_quadratic(cosines, -cosines)
        return 1 + ops.sum(z * ops.divide_no_nan(norms[None, :], norms[:, None]), axis=1)
