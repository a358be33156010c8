import keras
from keras import ops

from keras_atinet.balancing.balancer import Balancer


@keras.saving.register_keras_serializable(package="keras_atinet")
class Uncertainty(Balancer):
    """Learns how noisy every task is, and trusts noisy tasks less:

    `sum_k exp(-s_k) L_k / 2 + s_k / 2`,

    with a log-variance `s_k = log sigma_k^2` for each task, a trainable weight that starts at 0 and
    that the model's optimizer trains beside the network (an optimizer with weight decay draws it
    towards 0). All tasks take this form, that of a regression; the paper has `exp(-s) L + s / 2`
    for a classification. An absent task adds nothing and its `s_k` gets no gradient.

    Costs K numbers. For losses in different units. Where a loss stays near a value, its weight
    `exp(-s_k) / 2` tends to half of the inverse of that value.

    Example:
        >>> model.compile("adam", balancer="uncertainty")

    Reference: Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses for
    Scene Geometry and Semantics, CVPR 2018.
    """

    def build(self, losses_shape):
        self.log_variances = self.add_weight(
            shape=losses_shape, initializer="zeros", name="log_variances"
        )

    def call(self, losses, present):
        return super().call(losses, present) + ops.sum(present * self.log_variances) / 2

    def task_weights(self, losses, present):
        return present * ops.exp(-self.log_variances) / 2
