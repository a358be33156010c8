import keras
from keras import ops

from keras_atinet.balancing.balancer import Balancer


@keras.saving.register_keras_serializable(package="keras_atinet")
class DynamicTaskPrioritization(Balancer):
    """Tasks that are still done badly count more, as in the focal loss. In every step

    `w_k = -(1 - kappa_k)^gamma log kappa_k`, `kappa_k = exp(-m_k)`,

    with the moving average `m_k` of the loss of task k. The paper's `kappa` is a moving average of
    a performance indicator in [0, 1], such as accuracy; a balancer sees losses, so `exp(-m)` takes
    its place: for a cross-entropy the geometric mean of the probability of the right class. So
    `w_k = (1 - exp(-m_k))^gamma m_k`: it depends on the unit of the loss. The average is that of
    the steps in which the task was present, and the weights are constants to the gradient.

    Costs K numbers. For tasks of which the hard ones should come first, with losses of like units.

    Args:
        gamma: float from 0, the focusing: the higher, the less easy tasks count. Defaults to 1.
        momentum: float in `[0, 1)`, `m <- momentum m + (1 - momentum) L`. Defaults to 0.9.

    Raises:
        ValueError: if `gamma` or `momentum` is out of its range.

    Example:
        >>> model.compile("adam", balancer="dtp")

    Reference: Guo, Haque, Huang, Yeung and Fei-Fei, Dynamic Task Prioritization for Multitask
    Learning, ECCV 2018.
    """

    def __init__(self, gamma=1.0, momentum=0.9, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= gamma < float("inf") or not 0 <= momentum < 1:
            raise ValueError(
                "`DynamicTaskPrioritization` needs `gamma` not below 0 and `momentum` in [0, 1). "
                f"Received: gamma={gamma}, momentum={momentum}. The defaults are 1 and 0.9."
            )
        self.gamma = gamma
        self.momentum = momentum

    def build(self, losses_shape):
        # 0 stands for a loss that has not been seen.
        self.mean_losses = self.add_weight(
            shape=losses_shape, initializer="zeros", trainable=False, name="mean_losses"
        )

    def call(self, losses, present):
        new, mean = ops.stop_gradient(losses), self.mean_losses.value
        moved = ops.where(mean > 0, self.momentum * mean + (1 - self.momentum) * new, new)
        self.mean_losses.assign(ops.where(present > 0, moved, mean))
        return super().call(losses, present)

    def task_weights(self, losses, present):
        mean = ops.maximum(self.mean_losses.value, 0.0)
        return present * ops.power(-ops.expm1(-mean), self.gamma) * mean

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma, "momentum": self.momentum}
