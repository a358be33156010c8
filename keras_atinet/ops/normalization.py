import keras
from keras import ops

from keras_atinet.internals import torch_batch_normalization


def batch_normalization(inputs, gamma, beta, epsilon):
    """Normalizes with the batch's own statistics, and returns them.

    `outputs = (inputs - mean) / sqrt(variance + epsilon) * gamma + beta`, mean and variance over
    batch, height and width. TensorFlow and PyTorch do it in one kernel each way.

    Args:
        inputs: float tensor `(batch, height, width, channels)`.
        gamma, beta: float32 tensors `(channels,)`.
        epsilon: float.

    Returns:
        `outputs`, shape and dtype of `inputs`; `mean` and `variance` (not Bessel-corrected),
        float32 `(channels,)`, which have no gradient on every backend.

    Reference: Batch Normalization, Ioffe and Szegedy, ICML 2015.
    """
    return _batch_normalization(inputs, gamma, beta, epsilon)


def _in_keras(inputs, gamma, beta, epsilon):
    # Half precision holds no sums over an image.
    x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    mean, variance = ops.moments(x, axes=(0, 1, 2))
    outputs = ops.batch_normalization(x, mean, variance, -1, beta, gamma, epsilon)
    return ops.cast(outputs, inputs.dtype), ops.stop_gradient(mean), ops.stop_gradient(variance)


def _in_tensorflow(inputs, gamma, beta, epsilon):
    import tensorflow as tf

    outputs = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=gamma,
        offset=beta,
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=epsilon,
    )
    # The kernel's variance is Bessel-corrected.
    count = tf.cast(tf.size(inputs) / tf.size(gamma), "float32")
    variance = outputs.batch_variance * (tf.maximum(count - 1, 1) / count)
    return outputs.y, tf.stop_gradient(outputs.batch_mean), tf.stop_gradient(variance)


def _in_torch(inputs, gamma, beta, epsilon):
    gamma, beta = ops.convert_to_tensor(gamma), ops.convert_to_tensor(beta)
    # A view: the channels stay last in memory.
    outputs, mean, variance = torch_batch_normalization(
        inputs.permute(0, 3, 1, 2), gamma, beta, epsilon
    )
    return outputs.permute(0, 2, 3, 1), mean, variance


_batch_normalization = {"tensorflow": _in_tensorflow, "torch": _in_torch}.get(
    keras.backend.backend(), _in_keras
)
