import keras
from keras import ops

from keras_atinet.balancing.balancer import Balancer


@keras.saving.register_keras_serializable(package="keras_atinet")
class ImpartialLoss(Balancer):
    """Learns a scale for every loss that makes them equal, the loss part of IMTL:

    `sum_k exp(s_k) L_k - s_k`,

    least where `exp(s_k) L_k = 1` for all k, so that the unit of a loss makes no difference in the
    end. `s_k` is a trainable weight that starts at 0 and that the model's optimizer trains beside
    the network (an optimizer with weight decay draws it towards 0). An absent task adds nothing and
    its `s_k` gets no gradient.

    Costs K numbers. For losses in different units; it is twice `Uncertainty` with `-s`, so that
    its weights at the start are 1.

    Example:
        >>> model.compile("adam", balancer="imtl_l")

    Reference: Liu et al., Towards Impartial Multi-task Learning, ICLR 2021.
    """

    def build(self, losses_shape):
        self.log_scales = self.add_weight(
            shape=losses_shape, initializer="zeros", name="log_scales"
        )

    def call(self, losses, present):
        return super().call(losses, present) - ops.sum(present * self.log_scales)

    def task_weights(self, losses, present):
        return present * ops.exp(self.log_scales)
