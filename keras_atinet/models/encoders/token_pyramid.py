"""A feature pyramid for transformers whose features are all at one resolution."""

import math
import operator

import keras
from keras import layers, ops

NAME = "token_pyramid"


@keras.saving.register_keras_serializable(package="keras_atinet")
class TokenGrid(layers.Layer):
    """Arranges the tokens of patches as an image; class and register tokens are left out.

    `y[b, i, j] = x[b, n - height * width + width * i + j]` of `n` tokens.

    Args:
        height: int, patches in a column.
        width: int, patches in a row.

    Call arguments:
        inputs: float tensor `(batch, tokens, channels)`; the last tokens are the patches', by rows.

    Returns:
        `(batch, height, width, channels)`, dtype of `inputs`.
    """

    def __init__(self, height, width, **kwargs):
        super().__init__(**kwargs)
        self.height = height
        self.width = width

    def call(self, inputs):
        patches = inputs[:, -self.height * self.width :]
        return ops.reshape(patches, (-1, self.height, self.width, inputs.shape[-1]))

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.height, self.width, input_shape[-1]

    def get_config(self):
        return {**super().get_config(), "height": self.height, "width": self.width}


def has_tokens(model):
    """Whether a model's output are tokens of patches, as those of DINOv3 are."""
    return hasattr(model, "patch_size") and len(model.outputs[0].shape) == 3


def token_pyramid(model):
    """Features at a quarter to twice the stride of a transformer's patches, from its last block.

    The tokens, as an image, are upsampled by transposed convolutions of width and stride 2 and
    downsampled by max pooling. These layers are new; `is_of_pyramid` tells them.

    Args:
        model: functional `keras.Model` with `has_tokens`.

    Returns:
        Dict from strides to KerasTensors `(batch, height, width, channels)`: strides 4 to 32 for
        patches of 16, and also for those of 14, with as many pixels less.

    Raises:
        ValueError: if the model has no fixed image size.

    Reference: Exploring Plain Vision Transformer Backbones for Object Detection, Li et al., 2022
    (a simple feature pyramid).
    """
    (image,), tokens = model.inputs, model.outputs[0]
    patch_size, size = model.patch_size, image.shape[1:3]
    if isinstance(patch_size, int):
        patch_size = patch_size, patch_size
    if None in size or any(map(operator.lt, size, patch_size)):
        raise ValueError(
            f"The transformer '{model.name}' needs an image size that is known and not below its "
            f"patches of {patch_size}. Received: images of shape {image.shape}."
        )
    height, width = map(operator.floordiv, size, patch_size)
    stride = 2 ** round(math.log2(patch_size[0]))
    dtype, channels = model.dtype_policy, tokens.shape[-1]

    def upsample(x, filters, name):
        return layers.Conv2DTranspose(filters, 2, 2, dtype=dtype, name=f"{NAME}_{name}")(x)

    grid = TokenGrid(height, width, dtype=dtype, name=f"{NAME}_grid")(tokens)
    x = upsample(grid, channels // 2, "upsample_4a")
    x = layers.LayerNormalization(epsilon=1e-6, dtype=dtype, name=f"{NAME}_normalize_4")(x)
    x = layers.Activation("gelu", dtype=dtype, name=f"{NAME}_activation_4")(x)
    pooled = layers.MaxPooling2D(2, padding="same", dtype=dtype, name=f"{NAME}_pool")(grid)
    return {
        stride // 4: upsample(x, channels // 4, "upsample_4b"),
        stride // 2: upsample(grid, channels // 2, "upsample_2"),
        stride: grid,
        stride * 2: pooled,
    }


def is_of_pyramid(layer):
    """Whether a layer is one that `token_pyramid` made: it has no pretrained weights."""
    return layer.name.startswith(f"{NAME}_")
