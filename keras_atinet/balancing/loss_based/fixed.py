import keras
import numpy as np
from keras import ops

from keras_atinet.balancing.balancer import Balancer


@keras.saving.register_keras_serializable(package="keras_atinet")
class Fixed(Balancer):
    """Weights that you choose: `sum_k w_k L_k`.

    Costs nothing. For weights known from elsewhere, and to repeat another work.

    Args:
        weights: sequence of floats, finite and not below 0, one for each task in the order of the
            model's tasks.

    Raises:
        ValueError: if a weight is negative or not finite; by `compile`, if there is not one for
            each task.

    Example:
        >>> model.compile("adam", balancer=keras_atinet.balancing.Fixed([1.0, 0.5, 2.0]))
    """

    def __init__(self, weights, **kwargs):
        super().__init__(**kwargs)
        self.fixed_weights = tuple(float(weight) for weight in weights)  # Layers have `weights`.
        if not all(np.isfinite(weight) and weight >= 0 for weight in self.fixed_weights):
            raise ValueError(
                "The `weights` of `Fixed` must be finite and not below 0. "
                f"Received: weights={weights}. Use 0 to leave a task out."
            )

    def build(self, losses_shape):
        if len(self.fixed_weights) != losses_shape[0]:
            raise ValueError(
                f"`Fixed` needs one weight for each of the {losses_shape[0]} tasks. "
                f"Received: weights={list(self.fixed_weights)}. "
                "Give them in the order of the model's tasks."
            )

    def task_weights(self, losses, present):
        return ops.convert_to_tensor(self.fixed_weights, "float32") * present

    def get_config(self):
        return {**super().get_config(), "weights": list(self.fixed_weights)}
