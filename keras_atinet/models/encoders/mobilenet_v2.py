"""MobileNetV2 as PyTorch's: padding (1, 1) before a stride and BatchNorms with epsilon 1e-5.

`keras.applications.MobileNetV2` has neither, and cannot take weights that were trained so: all
shapes fit, and the features correlate by 0.15 with those that they should be.
"""

from keras_atinet.models.encoders.inverted_residuals import (
    Stack,
    inverted_residual_network,
    weighted_layers,
)

UNUSED = ("classifier.",)
_STACKS = (
    Stack(1, 16, stride=1, expansion=1),
    Stack(2, 24),
    Stack(3, 32),
    Stack(4, 64),
    Stack(3, 96, stride=1),
    Stack(3, 160),
    Stack(1, 320, stride=1),
)


def mobilenet_v2(name, input_shape, dtype=None):
    """MobileNetV2 of width 1.0; its input has ImageNet's mean 0 and standard deviation 1.

    Args:
        name: str, name of the model.
        input_shape: `(height, width, channels)`, height and width int or None.
        dtype: dtype policy of the layers.

    Returns:
        Functional `keras.Model`, see `inverted_residual_network`.

    Reference: MobileNetV2, Sandler et al., 2018.
    """
    return inverted_residual_network(
        input_shape, _STACKS, lambda index, kernel_size: (1, 1), 1e-5, name, dtype
    )


def checkpoint_layers(model):
    """Pairs of a PyTorch module's name and the layer that it stands for."""
    stem, *blocks, top = weighted_layers(model)
    for index, layers in enumerate((stem, *blocks, top)):
        inside = "" if layers in (stem, top) else "conv."
        # ReLU6 follows each BatchNorm and counts as a module.
        for position, layer in enumerate(layers):
            yield f"features.{index}.{inside}{position // 2 * 3 + position % 2}", layer
