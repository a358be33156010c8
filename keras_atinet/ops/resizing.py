import keras
import numpy as np
from keras import ops


def upsample_align_corners(inputs):
    """Bilinear upsampling by 2 that keeps the corner pixels at the corners.

    Along an axis of size n, output i samples the input at `i (n - 1) / (2n - 1)`.

    Args:
        inputs: float tensor `(batch, height, width, channels)`.

    Returns:
        `(batch, 2 * height, 2 * width, channels)`, dtype of `inputs`.
    """
    if keras.backend.backend() == "torch" and not isinstance(inputs, keras.KerasTensor):
        return _in_torch(inputs)
    _, height, width, channels = inputs.shape
    # Two matrix products cost little beside the convolutions, on every device, both ways.
    rows = _interpolation(height, inputs.dtype)
    columns = _interpolation(width, inputs.dtype)
    x = ops.matmul(rows, ops.reshape(inputs, (-1, height, width * channels)))
    x = ops.matmul(columns, ops.reshape(x, (-1, width, channels)))
    return ops.reshape(x, (-1, 2 * height, 2 * width, channels))


def _interpolation(size, dtype):
    """The matrix `(2 * size, size)` of the shares that an output has of each input."""
    position = np.arange(2 * size) * (size - 1) / (2 * size - 1)
    shares = np.maximum(0, 1 - abs(position[:, None] - np.arange(size)))
    return ops.convert_to_tensor(shares, dtype)


def _in_torch(inputs):
    from torch.nn.functional import interpolate

    # Views: the channels stay last in memory.
    outputs = interpolate(
        inputs.permute(0, 3, 1, 2), scale_factor=2, mode="bilinear", align_corners=True
    )
    return outputs.permute(0, 2, 3, 1)
