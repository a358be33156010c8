"""EfficientNet-Lite 0, 1 and 2."""

import math
from typing import NamedTuple

from keras_atinet.models.encoders.inverted_residuals import (
    Stack,
    inverted_residual_network,
    weighted_layers,
)

# The classifier, which an encoder has no use for.
UNUSED = ("_fc.",)


class _Variant(NamedTuple):
    width: float
    depth: float
    size: int  # height and width of the images that it was trained with


VARIANTS = {
    "efficientnet_lite0": _Variant(1.0, 1.0, 224),
    "efficientnet_lite1": _Variant(1.0, 1.1, 240),
    "efficientnet_lite2": _Variant(1.1, 1.2, 260),
}
_STACKS = (
    Stack(1, 16, stride=1, expansion=1),
    Stack(2, 24),
    Stack(2, 40, kernel_size=5),
    Stack(3, 80),
    Stack(3, 112, kernel_size=5, stride=1),
    Stack(4, 192, kernel_size=5),
    Stack(1, 320, stride=1),
)


def efficientnet_lite(name, input_shape, dtype=None):
    """EfficientNet without squeeze-and-excitation, with ReLU6, a stem and a top of fixed width.

    It takes `(255 x - 127) / 128` for RGB `x` in [0, 1].

    Args:
        name: str, `"efficientnet_lite0"`, `"efficientnet_lite1"` or `"efficientnet_lite2"`.
        input_shape: `(height, width, channels)`, height and width int or None.
        dtype: dtype policy of the layers.

    Returns:
        Functional `keras.Model`, see `inverted_residual_network`.

    Reference: EfficientNet, Tan and Le, 2019; its Lite variants were published as code, 2020.
    """
    variant = VARIANTS[name]
    stacks = [
        stack._replace(
            filters=_rounded(variant.width * stack.filters),
            # The first and the last stack are not deepened.
            num_blocks=math.ceil((variant.depth if stack.num_blocks > 1 else 1) * stack.num_blocks),
        )
        for stack in _STACKS
    ]

    def padding(index, kernel_size):
        size = math.ceil(variant.size / 2**index)
        zeros = kernel_size - 2 + size % 2
        return zeros // 2, zeros - zeros // 2

    return inverted_residual_network(input_shape, stacks, padding, 1e-3, name, dtype)


def _rounded(width):
    """A multiple of 8, at most 10 % below `width`."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def checkpoint_layers(model):
    """Pairs of a PyTorch module's name and the layer that it stands for."""
    stem, *blocks, top = weighted_layers(model)
    yield from zip(("_conv_stem", "_bn0"), stem, strict=True)
    for index, layers in enumerate(blocks):
        names = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
        for name, layer in zip(names[-len(layers) :], layers, strict=True):
            yield f"_blocks.{index}.{name}", layer
    yield from zip(("_conv_head", "_bn1"), top, strict=True)
