"""Layers for inference that equal one layer, or a convolution and the BatchNorm after it."""

import keras

from keras_atinet.layers.convolution import Conv2D
from keras_atinet.layers.copying import copy_layer
from keras_atinet.layers.inference import InferenceConv2D
from keras_atinet.layers.norm_folding import fold_norm


def frozen_copy(layer, dtype=None, name=None):
    """A layer of the same class, config and weights, that is not trainable."""
    copy = copy_layer(layer, **_changes(layer, dtype, name))
    if isinstance(layer, keras.layers.Layer):
        copy.trainable = False
    return copy


def fold_convolution(conv, norm, dtype=None, name=None):
    """One convolution with bias, equal to a convolution and the BatchNorm that follows it.

    Args:
        conv, norm: built layers, of which `is_convolution(conv)` and `is_norm_of(norm, conv)`.
        dtype, name: as for `fold`.
    """
    weights = [weight.astype("float32") for weight in fold_norm(conv, norm)]
    return equal_convolution(conv, weights, dtype, name)


def equal_convolution(conv, weights, dtype, name):
    """What computes at inference what a convolution would with other weights, and a bias."""
    if is_plain(conv):
        return inference_conv(conv, *weights, name or conv.name, dtype, conv.activation)
    if is_depthwise(conv):
        return _depthwise(conv, *weights, name or conv.name, dtype)
    changes = _changes(conv, dtype, name)
    folded = type(conv).from_config({**conv.get_config(), **changes, "use_bias": True})
    folded.build_from_config(conv.get_build_config())
    return _with_weights(folded, weights)


def _depthwise(conv, kernel, bias, name, dtype):
    multiplier = conv.filters // conv.groups
    depthwise = keras.layers.DepthwiseConv2D(
        conv.kernel_size,
        conv.strides,
        conv.padding,
        multiplier,
        conv.data_format,
        activation=conv.activation,
        depthwise_initializer="zeros",
        dtype=policy_of(conv, dtype),
        name=name,
    )
    depthwise.build_from_config(conv.get_build_config())
    kernel = kernel.reshape((*kernel.shape[:2], conv.groups, multiplier))
    return _with_weights(depthwise, [kernel, bias])


def _with_weights(layer, weights):
    layer.set_weights(weights)
    layer.trainable = False
    return layer


def _changes(layer, dtype, name):
    """What the config of a layer gets of another dtype policy and name; None is its own."""
    changes = {} if name is None else {"name": name}
    # A model that is copied as a whole has the policies of its layers.
    is_layer = isinstance(layer, keras.layers.Layer) and not isinstance(layer, keras.Model)
    if dtype is not None and is_layer:
        changes["dtype"] = dtype
    return changes


def is_plain(conv):
    """Whether a convolution is one that `InferenceConv2D` computes."""
    if type(conv) is not keras.layers.Conv2D:
        return type(conv) is Conv2D
    return (
        (conv.padding == "same" or conv.kernel_size == (1, 1))
        and all(size % 2 for size in conv.kernel_size)
        and (conv.strides, conv.dilation_rate, conv.groups) == ((1, 1), (1, 1), 1)
        and conv.data_format == "channels_last"
        and _has_own_weights_only(conv)
    )


def is_depthwise(conv):
    """Whether a convolution, as ConvNeXt has it, sees each channel alone.

    On TensorFlow, groups make it a function compiled by XLA, which no format of export knows.
    """
    return (
        type(conv) is keras.layers.Conv2D
        and conv.groups > 1
        and conv.kernel.shape[2] == 1
        and conv.strides[0] == conv.strides[1]
        and conv.dilation_rate == (1, 1)
        and _has_own_weights_only(conv)
    )


def _has_own_weights_only(conv):
    # Neither quantized nor with weights added for fine-tuning (LoRA).
    return len(conv.weights) == 1 + conv.use_bias


def policy_of(layer, dtype):
    """The dtype policy of what stands in the place of a layer; None is the layer's own."""
    # By name, because layers without a config of their own save no objects.
    return layer.dtype_policy.name if dtype is None else dtype


def inference_conv(layer, kernel, bias, name, dtype, activation=None):
    """An `InferenceConv2D` with these weights, in the place of a layer."""
    conv = InferenceConv2D(
        kernel.shape[-1],
        kernel.shape[:2],
        activation=activation,
        kernel_initializer="zeros",
        dtype=policy_of(layer, dtype),
        trainable=False,
        name=name,
    )
    conv.build((None, None, None, kernel.shape[2]))
    conv.set_weights([kernel.astype("float32"), bias.astype("float32")])
    return conv
