"""Pooling, unpooling and resizing for inference, of any size, known or not.

They give what their namesakes give and leave out what only gradients need. Each is made of plain
operations of the backend, so that it can be exported to any format.
"""

import keras
import numpy as np
from keras import ops

from keras_atinet.ops import resizing


def max_pool_with_argmax(inputs):
    """`keras_atinet.ops.max_pool_with_argmax` for inference; `argmax` has the dtype of `inputs`.

    LiteRT selects no bytes.
    """
    corners = [inputs[:, p::2, q::2, :] for p in (0, 1) for q in (0, 1)]
    pooled, argmax = corners[0], ops.zeros_like(corners[0])
    for index, corner in enumerate(corners[1:], 1):
        # A later element wins only if it is strictly greater: the first maximum stays.
        argmax = ops.where(corner > pooled, ops.cast(index, inputs.dtype), argmax)
        pooled = ops.maximum(corner, pooled)
    return pooled, argmax


def max_unpool(inputs, argmax):
    """`keras_atinet.ops.max_unpool` for inference."""
    _, height, width, channels = ops.shape(inputs)
    zero = ops.cast(0, inputs.dtype)
    corners = [ops.where(argmax == ops.cast(i, argmax.dtype), inputs, zero) for i in range(4)]
    # Side by side in the channels, two pixels of a row are neighbours in memory.
    rows = [ops.concatenate(corners[:2], axis=-1), ops.concatenate(corners[2:], axis=-1)]
    rows = [ops.reshape(row, (-1, height, 2 * width, channels)) for row in rows]
    return ops.reshape(ops.concatenate(rows, axis=2), (-1, 2 * height, 2 * width, channels))


def upsample_align_corners(inputs):
    """`keras_atinet.ops.upsample_align_corners` for inference."""
    return _UPSAMPLE[keras.backend.backend()](inputs)


def resize_bilinear(inputs, like):
    """`keras_atinet.ops.resize_bilinear` for inference."""
    if keras.backend.backend() != "tensorflow":
        return resizing.resize_bilinear(inputs, like)
    if resizing.is_same_size(inputs, like) or not _is_size_in_onnx(inputs, like):
        return resizing.resize_bilinear(inputs, like)
    return resizing.in_tensorflow(inputs, like, half_pixel_centers=True)


def _is_size_in_onnx(inputs, like):
    """Whether the resizing in an ONNX file gives this size.

    tf2onnx writes known sizes as a ratio in float32, and ONNX Runtime rounds the product down.
    """
    sizes = zip(inputs.shape[1:3], like.shape[1:3], strict=True)
    return all(
        None in (before, after) or int(before * float(np.float32(after / before))) == after
        for before, after in sizes
    )


def _upsample_tensorflow(inputs):
    return resizing.in_tensorflow(inputs, inputs, scale=2, align_corners=True)


def _upsample_axes(inputs):
    return _upsample_axis(_upsample_axis(inputs, axis=1), axis=2)


def _upsample_axis(inputs, axis):
    size = inputs.shape[axis]
    position = np.arange(2 * size) * (size - 1) / (2 * size - 1)
    low = np.minimum(position.astype("int32"), max(size - 2, 0))
    share = (position - low).reshape([-1] + [1] * (3 - axis))
    low, high = (ops.take(inputs, np.minimum(i, size - 1), axis=axis) for i in (low, low + 1))
    return low + ops.cast(share, inputs.dtype) * (high - low)


_UPSAMPLE = {
    "tensorflow": _upsample_tensorflow,
    "torch": resizing.upsample_align_corners,
    "jax": _upsample_axes,
}
