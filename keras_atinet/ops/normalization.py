import keras
from keras import ops


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
    import torch

    gamma, beta = ops.convert_to_tensor(gamma), ops.convert_to_tensor(beta)
    count = inputs.numel() // gamma.numel()
    if count == 1:  # which PyTorch refuses
        return _in_keras(inputs, gamma, beta, epsilon)
    # Moving statistics with a momentum of 1 are those of the batch.
    mean, variance = torch.zeros_like(beta), torch.zeros_like(beta)
    # A view: the channels stay last in memory.
    outputs = torch.nn.functional.batch_norm(
        inputs.permute(0, 3, 1, 2), mean, variance, gamma, beta, True, 1.0, epsilon
    )
    # The moving variance is Bessel-corrected.
    return outputs.permute(0, 2, 3, 1), mean, variance * ((count - 1) / count)


_batch_normalization = {"tensorflow": _in_tensorflow, "torch": _in_torch}.get(
    keras.backend.backend(), _in_keras
)
