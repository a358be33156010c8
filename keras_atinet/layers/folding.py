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
from keras_atinet.layers.equal_layers import (
    equal_convolution,
    frozen_copy,
    inference_conv,
    is_depthwise,
    is_plain,
    policy_of,
)
from keras_atinet.layers.heads import PredictionHead
from keras_atinet.layers.inference import (
    InferenceBilinearResizing,
    InferenceBilinearUpSampling2D,
    InferenceMaxPooling2D,
    InferenceMaxPooling2DWithArgmax,
    InferenceMaxUnpooling2D,
    TaskActivation,
)
from keras_atinet.layers.mixing import NDDRUnit
from keras_atinet.layers.norm_folding import fold_norm
from keras_atinet.layers.pooling import MaxPooling2D, MaxPooling2DWithArgmax, MaxUnpooling2D
from keras_atinet.layers.propagation import FeaturePropagation, SqueezeExcitation, softmax_of
from keras_atinet.layers.residual import BottleneckBlock, ResidualBlock
from keras_atinet.layers.resizing import BilinearResizing, BilinearUpSampling2D
from keras_atinet.layers.task_attention import TaskAttentionalModule


@functools.singledispatch
def fold(layer, dtype=None, name=None):
    """An equal function of KerasTensors without anything that only training needs.

    A layer that is not known here is copied with its weights; register a function for a class
    with `fold.register`.

    Args:
        layer: a built `keras.layers.Layer`, or another operation of a graph.
        dtype: optional dtype policy of the new layers. Defaults to that of `layer`.
        name: optional str, the name of the new layer, or what the names of several begin with.
            Defaults to that of `layer`.

    Returns:
        Function with the call arguments of `layer`, to be called as often as `layer` is.
    """
    return frozen_copy(layer, dtype, name)


@fold.register
def _(layer: ConvBlock, dtype=None, name=None):
    weights = fold_norm(layer.conv, layer.norm)
    return inference_conv(layer, *weights, name or layer.name, dtype, "relu")


@fold.register
def _(layer: AttentionMask, dtype=None, name=None):
    name = name or layer.name
    hidden = fold_norm(layer.block.conv, layer.block.norm)
    mask = fold_norm(layer.conv, layer.norm)
    chain = _chain(
        inference_conv(layer, *hidden, f"{name}_hidden", dtype, "relu"),
        inference_conv(layer, *mask, name, dtype, "sigmoid"),
    )
    join = keras.layers.Concatenate(dtype=policy_of(layer, dtype), name=f"{name}_features")
    return lambda x: chain(join(x) if isinstance(x, (list, tuple)) else x)


@fold.register
def _(layer: DeconvHead, dtype=None, name=None):
    name = name or layer.name
    weights = [fold_norm(block.conv, block.norm) for block in layer.blocks]
    return _chain(
        *(
            inference_conv(layer, *block, f"{name}_{index}", dtype, "relu")
            for index, block in enumerate(weights, 1)
        )
    )


@fold.register
def _(layer: SelfAttention, dtype=None, name=None):
    name = name or layer.name
    message = inference_conv(layer, *_arrays(layer.message), f"{name}_message", dtype)
    gate = inference_conv(layer, *_arrays(layer.gate), f"{name}_gate", dtype, "sigmoid")
    multiply = keras.layers.Multiply(dtype=policy_of(layer, dtype), name=name)
    return lambda x: multiply([message(x), gate(x)])


@fold.register
def _(layer: MultiModalDistillation, dtype=None, name=None):
    name = name or layer.name
    policy = policy_of(layer, dtype)
    messages = {
        (target, auxiliary): fold(block, dtype, name=f"{name}_{auxiliary}_to_{target}")
        for (target, auxiliary), block in {**layer.attention, **layer.messages}.items()
    }
    gates = {
        target: inference_conv(layer, *_arrays(gate), f"{name}_{gate.name}", dtype, "sigmoid")
        for target, gate in layer.gates.items()
    }

    def sum_of(features, part):
        add = keras.layers.Add(dtype=policy, name=f"{name}_{part}")
        return add(features) if len(features) > 1 else features[0]

    def refine(target, features):
        own = features[target]
        received = [messages[target, a](features[a]) for a in layer.tasks if a != target]
        if target in gates:
            multiply = keras.layers.Multiply(dtype=policy, name=f"{name}_{target}_gated")
            received = [multiply([gates[target](own), sum_of(received, f"{target}_messages")])]
        return sum_of([own, *received], target)

    def refine_all(features):
        features = dict(zip(layer.tasks, features, strict=True))
        return [refine(target, features) for target in layer.targets]

    return refine_all


@fold.register
def _(layer: TaskDistillation, dtype=None, name=None):
    name = name or layer.name
    share = float(keras.ops.convert_to_numpy(layer.share))
    if share == 0:
        return lambda x: x
    heads, encoders = (
        [fold(block, dtype, name=f"{name}_{block.name}") for block in blocks]
        for blocks in (layer.deconv_heads, layer.task_encoders)
    )
    distillation = fold(layer.distillation, dtype, name=f"{name}_refined")
    policy = policy_of(layer, dtype)

    def distil(x):
        features = distillation([head(x) for head in heads])
        encoded = [encoder(x) for encoder, x in zip(encoders, features, strict=True)]
        mean = keras.layers.Average(dtype=policy, name=name)
        distilled = mean(encoded) if len(encoded) > 1 else encoded[0]
        if share == 1:
            return distilled
        parts = {"plain": (x, 1 - share), "distilled": (distilled, share)}
        scaled = [
            keras.layers.Rescaling(scale, dtype=policy, name=f"{name}_{label}")(part)
            for label, (part, scale) in parts.items()
        ]
        return keras.layers.Add(dtype=policy, name=f"{name}_share")(scaled)

    return distil


@fold.register(BottleneckBlock)
@fold.register(ResidualBlock)
def _(layer, dtype=None, name=None):
    name = name or layer.name
    policy = policy_of(layer, dtype)
    weights = [fold_norm(block.conv, block.norm) for block in layer.blocks]
    chain = _chain(
        *(
            inference_conv(layer, *block, f"{name}_{index}", dtype, "relu")
            for index, block in enumerate(weights, 1)
        ),
        inference_conv(layer, *fold_norm(layer.conv, layer.norm), f"{name}_conv", dtype),
    )
    shortcut = _chain()
    if layer.shortcut_conv is not None:
        folded = fold_norm(layer.shortcut_conv, layer.shortcut_norm)
        shortcut = inference_conv(layer, *folded, f"{name}_shortcut", dtype)
    join = keras.layers.Concatenate(dtype=policy, name=f"{name}_features")
    add = keras.layers.Add(dtype=policy, name=f"{name}_sum")
    relu = keras.layers.ReLU(dtype=policy, name=name)

    def call(x):
        x = join(x) if isinstance(x, (list, tuple)) else x
        return relu(add([chain(x), shortcut(x)]))

    return call


@fold.register
def _(layer: TaskAttentionalModule, dtype=None, name=None):
    name = name or layer.name
    policy = policy_of(layer, dtype)
    balance, mask = (
        inference_conv(layer, *_arrays(conv), f"{name}_{conv.name}", dtype, "sigmoid")
        for conv in (layer.balance, layer.mask)
    )
    fusion, *surroundings = (
        fold(block, dtype, name=f"{name}_{block.name}")
        for block in (layer.fusion, *layer.surroundings)
    )
    output = fold(layer.output_block, dtype, name=name)
    down, up = (
        InferenceBilinearResizing(dtype=policy, name=f"{name}_{label}") for label in ("down", "up")
    )

    def side_by_side(states, label):
        return keras.layers.Concatenate(dtype=policy, name=f"{name}_{label}")(states)

    def times(x, y, label):
        return keras.layers.Multiply(dtype=policy, name=f"{name}_{label}")([x, y])

    def plus_one(x, scale, label):
        return keras.layers.Rescaling(scale, 1, dtype=policy, name=f"{name}_{label}")(x)

    def attend(states, like):
        a, b = states
        share = balance(side_by_side(states, "states"))
        rest = plus_one(share, -1, "rest")
        balanced = [times(share, a, "balanced_a"), times(rest, b, "balanced_b")]
        fused = fusion(side_by_side(balanced, "balanced"))
        around = _chain(*surroundings)(down(fused, like))
        enhancement = plus_one(mask(up(around, fused)), 1, "enhancement")
        enhanced = [times(enhancement, a, "enhanced_a"), times(enhancement, b, "enhanced_b")]
        return output(side_by_side(enhanced, "enhanced"))

    return attend


@fold.register
def _(layer: NDDRUnit, dtype=None, name=None):
    weights = fold_norm(layer, layer.norm)
    return inference_conv(layer, *weights, name or layer.name, dtype, "relu")


@fold.register
def _(layer: SqueezeExcitation, dtype=None, name=None):
    name = name or layer.name
    policy = policy_of(layer, dtype)
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, dtype=policy, name=f"{name}_mean")
    gate = _chain(
        mean,
        inference_conv(layer, *_arrays(layer.squeeze), f"{name}_squeeze", dtype, "relu"),
        inference_conv(layer, *_arrays(layer.excitation), f"{name}_gate", dtype, "sigmoid"),
    )
    multiply = keras.layers.Multiply(dtype=policy, name=name)
    return lambda x: multiply([x, gate(x)])


@fold.register
def _(layer: FeaturePropagation, dtype=None, name=None):
    name = name or layer.name
    policy = policy_of(layer, dtype)
    hidden, reduction, gates = (
        [fold(block, dtype, name=f"{name}_{block.name}") for block in blocks]
        for blocks in (layer.mask_blocks, [layer.reduction], layer.gates)
    )
    masks = [
        inference_conv(layer, *_arrays(mask), f"{name}_{mask.name}", dtype) for mask in layer.masks
    ]

    def combine(kind, features, part):
        pairs = zip(layer.tasks, features, part, strict=True)
        return [
            kind(dtype=policy, name=f"{name}_{task}_{kind.__name__.lower()}")([x, y])
            for task, x, y in pairs
        ]

    def propagate(features):
        attended = features
        if masks:
            x = _chain(*hidden)(features)
            weights = softmax_of([mask(x) for mask in masks])
            attended = combine(keras.layers.Multiply, weights, features)
        shared = reduction[0](attended)
        return combine(keras.layers.Add, [gate(shared) for gate in gates], features)

    return propagate


@fold.register
def _(layer: PredictionHead, dtype=None, name=None):
    name = name or layer.name
    kernel, bias = _arrays(layer.projection)
    if layer.conv is not None:
        # Nothing stands between the two convolutions: `(x * K) P = x * (K P)`.
        projection, offset = kernel[0, 0], bias
        kernel, bias = _arrays(layer.conv)
        kernel, bias = kernel @ projection, bias @ projection + offset
    conv = inference_conv(layer, kernel, bias, f"{name}_conv", dtype)
    resizing = InferenceBilinearResizing(dtype="float32", name=f"{name}_resizing")
    activation = TaskActivation(layer.task, dtype="float32", name=name)
    return lambda x, like=None: activation(conv(x) if like is None else resizing(conv(x), like))


@fold.register
def _(layer: keras.layers.Conv2D, dtype=None, name=None):
    if not (is_plain(layer) or is_depthwise(layer)):
        return frozen_copy(layer, dtype, name)
    kernel, *bias = layer.get_weights()
    bias = bias[0] if bias else np.zeros(layer.filters, "float32")
    return equal_convolution(layer, [kernel, bias], dtype, name)


@fold.register
def _(layer: MaxPooling2DWithArgmax, dtype=None, name=None):
    return InferenceMaxPooling2DWithArgmax(dtype=policy_of(layer, dtype), name=name or layer.name)


@fold.register
def _(layer: keras.layers.MaxPooling2D, dtype=None, name=None):
    window = layer.pool_size, layer.strides, layer.padding, layer.data_format
    is_known = type(layer) in (MaxPooling2D, keras.layers.MaxPooling2D)
    if not is_known or window != ((2, 2), (2, 2), "valid", "channels_last"):
        return frozen_copy(layer, dtype, name)
    return InferenceMaxPooling2D(dtype=policy_of(layer, dtype), name=name or layer.name)


@fold.register
def _(layer: MaxUnpooling2D, dtype=None, name=None):
    return InferenceMaxUnpooling2D(dtype=policy_of(layer, dtype), name=name or layer.name)


@fold.register
def _(layer: BilinearUpSampling2D, dtype=None, name=None):
    return InferenceBilinearUpSampling2D(dtype=policy_of(layer, dtype), name=name or layer.name)


@fold.register
def _(layer: BilinearResizing, dtype=None, name=None):
    options = {"dtype": policy_of(layer, dtype), "name": name or layer.name}
    return InferenceBilinearResizing(layer.size, **options)


def _leave_out(layer, dtype=None, name=None):
    if type(layer) not in _OF_TRAINING:  # a subclass may do something at inference
        return frozen_copy(layer, dtype, name)
    return lambda x: x


_OF_TRAINING = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
)
for _layer in _OF_TRAINING:
    fold.register(_layer, _leave_out)


def _chain(*functions):
    return lambda x: functools.reduce(lambda value, function: function(value), functions, x)


def _arrays(layer):
    # In float64, so that products of weights are rounded once.
    return [np.asarray(array, "float64") for array in layer.get_weights()]
