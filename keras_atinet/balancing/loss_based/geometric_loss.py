import keras
from keras import ops

from keras_atinet.balancing.balancer import Balancer
from keras_atinet.balancing.solvers.arithmetic import safe_log, safe_log_slope


@keras.saving.register_keras_serializable(package="keras_atinet")
class GeometricLoss(Balancer):
    """The geometric mean of the losses (GLS), over the n tasks that are present:

    `O = (prod_k L_k)^(1/n)`, whose derivative by `L_k` is `O / (n L_k)`.

    A loss in another unit changes the step by one factor for all tasks. Losses must not be
    negative; one up to 1e-8 counts as 1e-8, and its task gets no gradient in this step.

    Costs nothing, learns nothing. For losses in different units that all fall towards 0; the more
    tasks, the smaller the product, and a loss close to 0 takes the weight of all others away.

    Example:
        >>> model.compile("adam", balancer="gls")

    Reference: Chennupati et al., MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss
    Strategy for Multi-Task Learning, CVPR Workshops 2019.
    """

    def call(self, losses, present):
        mean_log = ops.divide_no_nan(ops.sum(present * safe_log(losses)), ops.sum(present))
        return ops.max(present) * ops.exp(mean_log)  # 0 without a task, not exp(0)

    def task_weights(self, losses, present):
        slopes = present * self.call(losses, present) * safe_log_slope(losses)
        return ops.divide_no_nan(slopes, ops.sum(present))
