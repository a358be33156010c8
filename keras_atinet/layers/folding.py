"""What each layer is at inference: plain convolutions, with BatchNorm folded into them."""

import functools

import keras
import numpy as np

from keras_atinet.layers.attention import AttentionMask
from keras_atinet.layers.conv_block import ConvBlock
from keras_atinet.layers.distillation import (
    DeconvHead,
    MultiModalDistillation,
    SelfAttention,
    TaskDistillation,
)
from keras_atinet.layers.heads import PredictionHead
from keras_atinet.layers.inference import (
    InferenceBilinearResizing,
    InferenceBilinearUpSampling2D,
    InferenceConv2D,
    InferenceMaxPooling2D,
    InferenceMaxPooling2DWithArgmax,
    InferenceMaxUnpooling2D,
    TaskActivation,
)
from keras_atinet.layers.pooling import MaxPooling2DWithArgmax, MaxUnpooling2D
from keras_atinet.layers.resizing import BilinearResizing, BilinearUpSampling2D


@functools.singledispatch
def fold(layer, dtype=None):
    """An equal function of KerasTensors without anything that only training needs.

    A layer that is not known here is copied with its weights; register a function for a class
    with `fold.register`.

    Args:
        layer: a built `keras.layers.Layer`.
        dtype: optional dtype policy of the new layers. Defaults to that of `layer`.

    Returns:
        Function with the call arguments of `layer`, to be called as often as `layer` is.
    """
    return _copy(layer, dtype)


def _copy(layer, dtype):
    config = layer.get_config()
    if dtype is not None:
        config["dtype"] = dtype
    copy = type(layer).from_config(config)
    if layer.weights:
        copy.build_from_config(layer.get_build_config())
        copy.set_weights(layer.get_weights())
    copy.trainable = False
    return copy


@fold.register
def _(layer: ConvBlock, dtype=None):
    return _conv(layer, *_fold_norm(layer.conv, layer.norm), layer.name, dtype, "relu")


@fold.register
def _(layer: AttentionMask, dtype=None):
    hidden = _fold_norm(layer.block.conv, layer.block.norm)
    mask = _fold_norm(layer.conv, layer.norm)
    chain = _chain(
        _conv(layer, *hidden, f"{layer.name}_hidden", dtype, "relu"),
        _conv(layer, *mask, layer.name, dtype, "sigmoid"),
    )
    name = f"{layer.name}_features"
    join = keras.layers.Concatenate(dtype=_policy(layer, dtype), name=name)
    return lambda x: chain(join(x) if isinstance(x, (list, tuple)) else x)


@fold.register
def _(layer: DeconvHead, dtype=None, name=None):
    name = name or layer.name
    weights = [_fold_norm(block.conv, block.norm) for block in layer.blocks]
    return _chain(
        *(
            _conv(layer, *block, f"{name}_{index}", dtype, "relu")
            for index, block in enumerate(weights, 1)
        )
    )


@fold.register
def _(layer: SelfAttention, dtype=None, name=None):
    name = name or layer.name
    message = _conv(layer, *_arrays(layer.message), f"{name}_message", dtype)
    gate = _conv(layer, *_arrays(layer.gate), f"{name}_gate", dtype, "sigmoid")
    multiply = keras.layers.Multiply(dtype=_policy(layer, dtype), name=name)
    return lambda x: multiply([message(x), gate(x)])


@fold.register
def _(layer: MultiModalDistillation, dtype=None, name=None):
    name = name or layer.name
    attention = {
        (target, auxiliary): fold(block, dtype, name=f"{name}_{auxiliary}_to_{target}")
        for (target, auxiliary), block in layer.attention.items()
    }

    def refine(target, features):
        messages = [attention[target, a](features[a]) for a in layer.tasks if a != target]
        if not messages:
            return features[target]
        add = keras.layers.Add(dtype=_policy(layer, dtype), name=f"{name}_{target}")
        return add([features[target], *messages])

    def refine_all(features):
        features = dict(zip(layer.tasks, features, strict=True))
        return [refine(target, features) for target in layer.tasks]

    return refine_all


@fold.register
def _(layer: TaskDistillation, dtype=None):
    share = float(keras.ops.convert_to_numpy(layer.share))
    if share == 0:
        return lambda x: x
    heads, encoders = (
        [fold(block, dtype, name=f"{layer.name}_{block.name}") for block in blocks]
        for blocks in (layer.deconv_heads, layer.task_encoders)
    )
    distillation = fold(layer.distillation, dtype, name=f"{layer.name}_refined")
    policy = _policy(layer, dtype)

    def distil(x):
        features = distillation([head(x) for head in heads])
        encoded = [encoder(x) for encoder, x in zip(encoders, features, strict=True)]
        mean = keras.layers.Average(dtype=policy, name=layer.name)
        distilled = mean(encoded) if len(encoded) > 1 else encoded[0]
        if share == 1:
            return distilled
        parts = {"plain": (x, 1 - share), "distilled": (distilled, share)}
        scaled = [
            keras.layers.Rescaling(scale, dtype=policy, name=f"{layer.name}_{name}")(part)
            for name, (part, scale) in parts.items()
        ]
        return keras.layers.Add(dtype=policy, name=f"{layer.name}_share")(scaled)

    return distil


@fold.register
def _(layer: PredictionHead, dtype=None):
    # Nothing stands between the two convolutions: `(x * K) P = x * (K P)`.
    kernel, bias = _arrays(layer.conv)
    projection, offset = _arrays(layer.projection)
    projection = projection[0, 0]
    name = layer.name
    conv = _conv(layer, kernel @ projection, bias @ projection + offset, f"{name}_conv", dtype)
    activation = TaskActivation(layer.task, dtype="float32", name=name)

    def predict(x, like=None):
        x = conv(x)
        if like is not None:
            x = InferenceBilinearResizing(dtype="float32", name=f"{name}_resizing")(x, like)
        return activation(x)

    return predict


@fold.register
def _(layer: MaxPooling2DWithArgmax, dtype=None):
    return InferenceMaxPooling2DWithArgmax(dtype=_policy(layer, dtype), name=layer.name)


@fold.register
def _(layer: keras.layers.MaxPooling2D, dtype=None):
    if (layer.pool_size, layer.strides, layer.padding) != ((2, 2), (2, 2), "valid"):
        return _copy(layer, dtype)
    return InferenceMaxPooling2D(dtype=_policy(layer, dtype), name=layer.name)


@fold.register
def _(layer: MaxUnpooling2D, dtype=None):
    return InferenceMaxUnpooling2D(dtype=_policy(layer, dtype), name=layer.name)


@fold.register
def _(layer: BilinearUpSampling2D, dtype=None):
    return InferenceBilinearUpSampling2D(dtype=_policy(layer, dtype), name=layer.name)


@fold.register
def _(layer: BilinearResizing, dtype=None):
    return InferenceBilinearResizing(dtype=_policy(layer, dtype), name=layer.name)


def _chain(*functions):
    return lambda x: functools.reduce(lambda value, function: function(value), functions, x)


def _policy(layer, dtype):
    # By name, because layers without a config of their own save no objects.
    return layer.dtype_policy.name if dtype is None else dtype


def _conv(layer, kernel, bias, name, dtype, activation=None):
    conv = InferenceConv2D(
        kernel.shape[-1],
        kernel.shape[:2],
        activation=activation,
        kernel_initializer="zeros",
        dtype=_policy(layer, dtype),
        trainable=False,
        name=name,
    )
    conv.build((None, None, None, kernel.shape[2]))
    conv.set_weights([kernel.astype("float32"), bias.astype("float32")])
    return conv


def _arrays(layer):
    # In float64, so that products of weights are rounded once.
    return [np.asarray(array, "float64") for array in layer.get_weights()]


def _fold_norm(conv, norm):
    """`batch_norm(x * K + b) = x * (s K) + s (b - mean) + beta`.

    `s = gamma / sqrt(variance + epsilon)` for every output channel.
    """
    kernel, bias = _arrays(conv)
    gamma, beta, mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(weight), "float64")
        for weight in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale * kernel, scale * (bias - mean) + beta
