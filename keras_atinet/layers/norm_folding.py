"""BatchNorm folded into the convolution before it."""

import keras
import numpy as np

from keras_atinet.layers.batch_normalization import BatchNormalization
from keras_atinet.layers.convolution import Conv2D

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
# Of these very classes: a subclass may compute something else.
_CONVOLUTIONS = {
    Conv2D,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
    *_DEPTHWISE,
    *_TRANSPOSED,
}
_NORMS = {BatchNormalization, keras.layers.BatchNormalization}


def is_convolution(layer):
    """Whether a layer is a convolution, or `Dense`, that a BatchNorm can be folded into."""
    return (
        type(layer) in _CONVOLUTIONS
        and layer.activation in (None, keras.activations.linear)
        # Neither quantized nor with weights added for fine-tuning (LoRA).
        and len(layer.weights) == len(_kernels(layer)) + layer.use_bias
    )


def is_norm_of(layer, conv):
    """Whether a layer is a BatchNorm over the output channels of a convolution."""
    if type(layer) not in _NORMS:
        return False
    is_first = getattr(conv, "data_format", None) == "channels_first"
    axis = 1 if is_first else layer.input_spec.ndim - 1
    return layer.axis % layer.input_spec.ndim == axis and layer.compute_dtype == conv.compute_dtype


def fold_norm(conv, norm):
    """The weights of a convolution with bias that equals a convolution and the BatchNorm after it.

    `batch_norm(x * K + b) = x * (s K) + s (b - mean) + beta`, `s = gamma / sqrt(variance +
    epsilon)` for every output channel.

    Args:
        conv: a built layer, see `is_convolution`, with or without a bias.
        norm: a built `keras.layers.BatchNormalization`.

    Returns:
        List of float64 arrays, the kernels and the bias.
    """
    # In float64, so that products of weights are rounded once.
    *kernels, kernel = _arrays(_kernels(conv))
    bias, gamma, beta, mean, variance = _arrays(
        [
            conv.bias if conv.use_bias else np.zeros(norm.moving_mean.shape),
            norm.gamma if norm.scale else np.ones(norm.moving_mean.shape),
            norm.beta if norm.center else np.zeros(norm.moving_mean.shape),
            norm.moving_mean,
            norm.moving_variance,
        ]
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    if isinstance(conv, _DEPTHWISE):
        factor = scale.reshape(kernel.shape[-2:])  # (in, multiplier)
    elif isinstance(conv, _TRANSPOSED):
        factor = scale[:, None]  # (out, in)
    else:
        factor = scale
    return [*kernels, factor * kernel, scale * (bias - mean) + beta]


def _kernels(layer):
    if hasattr(layer, "pointwise_kernel"):
        return [layer.depthwise_kernel, layer.pointwise_kernel]
    return [layer.kernel]


def _arrays(values):
    return [np.asarray(keras.ops.convert_to_numpy(value), "float64") for value in values]
