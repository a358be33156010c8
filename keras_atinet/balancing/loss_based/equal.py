import keras

from keras_atinet.balancing.balancer import Balancer


@keras.saving.register_keras_serializable(package="keras_atinet")
class Equal(Balancer):
    """Every task counts the same: `lambda_k = 1` (eq. 1)."""
