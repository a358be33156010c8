import keras
import numpy as np

from keras_atinet.balancing.balancer import Balancer


@keras.saving.register_keras_serializable(package="keras_atinet")
class DynamicWeightAverage(Balancer):
    """Tasks whose loss falls more slowly count more. Once per epoch t, for K tasks:

    `lambda(t) = K softmax(w / T)`, `w_k = L_k(t-1) / L_k(t-2)`,

    with the mean training losses L of the two epochs before, and 1 in the first two epochs. A task
    without a loss in one of these epochs (no valid pixel) has `w_k = 1`.

    Args:
        temperature: float above 0, T; the higher, the more equal. Defaults to 2.

    Raises:
        ValueError: if `temperature` is not above 0.

    Example:
        >>> model.compile("adam", balancer=keras_atinet.DynamicWeightAverage(temperature=1.0))

    Reference: MTAN, Liu et al., CVPR 2019; ATI-Net, eq. 8, 9.
    """

    def __init__(self, temperature=2.0, **kwargs):
        super().__init__(**kwargs)
        if not temperature > 0:
            raise ValueError(
                "`temperature` of `DynamicWeightAverage` must be above 0. "
                f"Received: {temperature}. The usual value is 2."
            )
        self.temperature = temperature

    def build(self, losses_shape):
        self.current_weights = self.add_weight(
            shape=losses_shape, initializer="ones", trainable=False, name="current_weights"
        )
        # 0 stands for an epoch that has not been seen.
        self.last_losses = self.add_weight(
            shape=losses_shape, initializer="zeros", trainable=False, name="last_losses"
        )

    def task_weights(self, losses, present):
        return self.current_weights.value

    def end_epoch(self, losses):
        losses = np.asarray(losses, "float32")
        # The ratio of two float32 may be too large for a third.
        last = keras.ops.convert_to_numpy(self.last_losses).astype("float64")
        known = np.isfinite(losses) & (losses > 0) & (last > 0)
        ratio = np.where(known, losses / np.where(known, last, 1), 1)
        scores = np.exp((ratio - ratio.max()) / self.temperature)
        self.current_weights.assign(len(scores) * scores / scores.sum())
        self.last_losses.assign(np.where(np.isfinite(losses), losses, 0))

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}
