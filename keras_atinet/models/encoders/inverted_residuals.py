"""Networks of inverted residual blocks: EfficientNet-Lite and MobileNetV2."""

import re
from typing import NamedTuple

import keras

STEM_FILTERS = 32
TOP_FILTERS = 1280
_BLOCK = re.compile(r"stride(\d+)_block\d+")


class Stack(NamedTuple):
    """Blocks of one width, of which the first may halve the size.

    Args:
        num_blocks: int, number of blocks.
        filters: int, their width.
        kernel_size: int, of the depthwise convolutions.
        stride: int, of the first block, 1 or 2.
        expansion: int, the width inside a block as a multiple of that of its input.
    """

    num_blocks: int
    filters: int
    kernel_size: int = 3
    stride: int = 2
    expansion: int = 6


def inverted_residual_network(input_shape, stacks, padding, epsilon, name, dtype=None):
    """Inverted residual blocks between a convolution of stride 2 and one of 1280 channels.

    A block is `x + project(depthwise(expand(x)))`, without `x +` where the shapes differ: 1 x 1,
    k x k and 1 x 1 convolutions, each with BatchNorm, the first two with ReLU6. Its output is
    that of the layer `stride{s}_block{i}`, where `i` counts the blocks at this stride.

    A convolution of stride 2 gets the zeros around its input from `padding`: what `"same"` adds
    depends on the size of the image, and the weights were trained at one size.

    Args:
        input_shape: `(height, width, channels)`, height and width int or None.
        stacks: list of `Stack`.
        padding: function from the index of a convolution of stride 2 (from 0, the first) and its
            kernel size to the number of zeros `(before, after)`, in height and width alike.
        epsilon: float, of the BatchNorms.
        name: str, name of the model.
        dtype: dtype policy of the layers.

    Returns:
        Functional `keras.Model` from the normalized image to `(height / 32, width / 32, 1280)`.

    Reference: MobileNetV2, Sandler et al., 2018; EfficientNet, Tan and Le, 2019.
    """
    layers = _Layers(padding, epsilon, dtype)
    inputs = keras.Input(input_shape, name="image")
    x = layers.convolution(inputs, STEM_FILTERS, "stem", kernel_size=3, stride=2)
    stride, index = 2, 0
    for stack in stacks:
        for block in range(stack.num_blocks):
            own_stride = stack.stride if block == 0 else 1
            stride, index = stride * own_stride, 1 if own_stride == 2 else index + 1
            x = layers.block(x, stack, own_stride, f"stride{stride}_block{index}")
    x = layers.convolution(x, TOP_FILTERS, "top")
    return keras.Model(inputs, x, name=name)


def block_outputs(model):
    """The outputs of the last block at each stride, where blocks are named as here.

    By their names, which files keep. The walk through the graph would find the expansion of the
    next block, six times as many channels of the same features.

    Returns:
        Dict, stride -> KerasTensor; empty for other models.
    """
    named = ((_BLOCK.fullmatch(operation.name), operation) for operation in model.operations)
    return {int(match[1]): operation.output for match, operation in named if match}


class _Layers:
    """The layers of one network, with what all of them share."""

    def __init__(self, padding, epsilon, dtype):
        self.padding, self.epsilon, self.dtype = padding, epsilon, dtype
        self.num_strided = 0

    def block(self, inputs, stack, stride, name):
        channels = inputs.shape[-1]
        x, is_residual = inputs, stride == 1 and channels == stack.filters
        if stack.expansion > 1:
            x = self.convolution(x, stack.expansion * channels, f"{name}_expand")
        x = self.convolution(x, None, f"{name}_depthwise", stack.kernel_size, stride)
        x = keras.layers.Conv2D(
            stack.filters, 1, use_bias=False, dtype=self.dtype, name=f"{name}_project"
        )(x)
        x = self.norm(x, f"{name}_project_norm" if is_residual else name)
        return keras.layers.Add(dtype=self.dtype, name=name)([x, inputs]) if is_residual else x

    def convolution(self, x, filters, name, kernel_size=1, stride=1):
        """Convolution (depthwise if `filters` is None), BatchNorm, ReLU6."""
        padding = "same"
        if stride == 2:
            zeros = self.padding(self.num_strided, kernel_size)
            self.num_strided += 1
            padding = "valid"
            x = keras.layers.ZeroPadding2D((zeros, zeros), dtype=self.dtype, name=f"{name}_pad")(x)
        options = {
            "kernel_size": kernel_size,
            "strides": stride,
            "padding": padding,
            "use_bias": False,
            "dtype": self.dtype,
            "name": name,
        }
        if filters is None:
            x = keras.layers.DepthwiseConv2D(**options)(x)
        else:
            x = keras.layers.Conv2D(filters, **options)(x)
        x = self.norm(x, f"{name}_norm")
        return keras.layers.ReLU(6.0, dtype=self.dtype, name=f"{name}_relu")(x)

    def norm(self, x, name):
        return keras.layers.BatchNormalization(epsilon=self.epsilon, dtype=self.dtype, name=name)(x)


def weighted_layers(model):
    """The layers that have weights, as PyTorch's versions of these networks order them.

    Returns:
        List of lists of `keras.layers.Layer`: the stem, each block, the top; in each a convolution
        and its BatchNorm in turn.
    """
    groups = {}
    for layer in model.layers:
        if layer.weights:
            group = "_".join(layer.name.split("_")[: 2 if layer.name.startswith("stride") else 1])
            groups.setdefault(group, []).append(layer)
    return list(groups.values())
