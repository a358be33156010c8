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
    size = [2 * n for n in inputs.shape[1:3]]
    if keras.backend.backend() == "torch" and not isinstance(inputs, keras.KerasTensor):
        return _in_torch(inputs, size, align_corners=True)
    positions = [np.arange(2 * n) * (n - 1) / (2 * n - 1) for n in inputs.shape[1:3]]
    return _interpolate(inputs, *positions)


def resize_bilinear(inputs, like):
    """Bilinear resizing to the height and width of another tensor.

    Along an axis that goes from n to m pixels, output i samples the input at
    `(i + 1/2) n / m - 1/2`, moved into `[0, n - 1]`; without antialiasing.

    Args:
        inputs: float tensor `(batch, height, width, channels)`.
        like: tensor `(batch, new height, new width, any channels)`, only its shape is read.

    Returns:
        `(batch, new height, new width, channels)`, dtype of `inputs`; `inputs` themselves where
        the size stays.
    """
    if is_same_size(inputs, like):
        return inputs
    before, after = inputs.shape[1:3], like.shape[1:3]
    if keras.backend.backend() == "torch":
        return _in_torch(inputs, after, align_corners=False)
    if None in (*before, *after):
        return in_tensorflow(inputs, like, half_pixel_centers=True)
    positions = [
        np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
        for n, m in zip(before, after, strict=True)
    ]
    return _interpolate(inputs, *positions)


def _interpolate(inputs, rows, columns):
    """Samples between pixels, at the product of two lists of positions.

    Two matrix products cost little beside the convolutions, on every device, both ways.
    """
    _, height, width, channels = inputs.shape
    x = ops.reshape(inputs, (-1, height, width * channels))
    x = ops.matmul(_shares(rows, height, inputs.dtype), x)
    x = ops.reshape(x, (-1, width, channels))
    x = ops.matmul(_shares(columns, width, inputs.dtype), x)
    return ops.reshape(x, (-1, len(rows), len(columns), channels))


def _shares(positions, size, dtype):
    """The matrix `(outputs, size)` of the shares that an output has of each input."""
    shares = np.maximum(0, 1 - abs(positions[:, None] - np.arange(size)))
    return ops.convert_to_tensor(shares, dtype)


def is_same_size(inputs, like):
    """Whether height and width are known to be those of another tensor."""
    size = tuple(inputs.shape[1:3])
    return None not in size and size == tuple(like.shape[1:3])


def in_tensorflow(inputs, like, scale=1, **options):
    """To `scale` times the size of `like`, known or not, by the operation that formats know."""
    import tensorflow as tf

    size = like.shape[1:3]
    size = [scale * n for n in size] if None not in size else scale * tf.shape(like)[1:3]
    outputs = tf.raw_ops.ResizeBilinear(images=inputs, size=size, **options)
    return ops.cast(outputs, inputs.dtype)


def _in_torch(inputs, size, align_corners):
    from torch.nn.functional import interpolate

    # Views: the channels stay last in memory.
    outputs = interpolate(
        inputs.permute(0, 3, 1, 2), tuple(size), mode="bilinear", align_corners=align_corners
    )
    return outputs.permute(0, 2, 3, 1)
