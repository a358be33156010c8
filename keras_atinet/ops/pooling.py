import keras
from keras import ops


def max_pool(inputs):
    """2 x 2 max pooling, stride 2.

    `y[b, i, j, c] = max over p, q in {0, 1} of x[b, 2i+p, 2j+q, c]`. On PyTorch the input is not
    copied to another layout, as `keras.ops.max_pool` does; on JAX the backward pass is comparisons,
    where on a CPU `keras.ops.max_pool` makes lists of indices.

    Args:
        inputs: float tensor `(batch, height, width, channels)`.

    Returns:
        `(batch, height / 2, width / 2, channels)`, dtype of `inputs`.
    """
    if keras.backend.backend() == "jax":
        _, height, width, _ = inputs.shape
        return max_pool_with_argmax(inputs[:, : height // 2 * 2, : width // 2 * 2])[0]
    if keras.backend.backend() != "torch":
        return ops.max_pool(inputs, 2, strides=2, data_format="channels_last")
    import torch

    return torch.nn.functional.max_pool2d(inputs.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def max_pool_with_argmax(inputs):
    """2 x 2 max pooling, stride 2, and where in its window each maximum stood.

    `pooled[b, i, j, c] = max over p, q in {0, 1} of inputs[b, 2i+p, 2j+q, c]` and
    `argmax[b, i, j, c] = 2p + q` of the first maximum in row-major order. The gradient goes to
    that one element only, so ties (zeros after ReLU) do not split it.

    Args:
        inputs: float tensor `(batch, height, width, channels)`, height and width even.

    Returns:
        `pooled`, dtype of `inputs`, and `argmax`, uint8 in `[0, 4)`, both
        `(batch, height / 2, width / 2, channels)`.
    """
    _, height, width, channels = inputs.shape
    # Unstacking copies whole rows, where slices with a stride go pixel by pixel.
    rows = ops.unstack(ops.reshape(inputs, (-1, height // 2, 2, width, channels)), axis=2)
    (top_left, top_right), (bottom_left, bottom_right) = (
        ops.unstack(ops.reshape(row, (-1, height // 2, width // 2, 2, channels)), axis=3)
        for row in rows
    )
    # A later element wins only if it is strictly greater: the first maximum stays.
    right_of_top = top_right > top_left
    right_of_bottom = bottom_right > bottom_left
    top = ops.where(right_of_top, top_right, top_left)
    bottom = ops.where(right_of_bottom, bottom_right, bottom_left)
    is_bottom = bottom > top
    if keras.backend.backend() == "jax":
        pooled = ops.where(is_bottom, bottom, top)  # XLA fuses all of it
    else:
        pooled = max_pool(inputs)
    argmax = ops.where(
        is_bottom,
        ops.cast(right_of_bottom, "uint8") + 2,
        ops.cast(right_of_top, "uint8"),
    )
    return pooled, argmax


def max_unpool(inputs, argmax):
    """Puts each value back where its maximum came from; zeros elsewhere.

    `outputs[b, 2i+p, 2j+q, c] = inputs[b, i, j, c] if argmax[b, i, j, c] == 2p + q else 0`.

    Args:
        inputs: float tensor `(batch, height, width, channels)`.
        argmax: integer tensor of the same shape, values in `[0, 4)`.

    Returns:
        `(batch, 2 * height, 2 * width, channels)`, dtype of `inputs`.
    """
    _, height, width, channels = inputs.shape
    zeros = ops.zeros_like(inputs)
    corners = [ops.where(argmax == corner, inputs, zeros) for corner in range(4)]
    rows = [ops.stack(corners[:2], axis=3), ops.stack(corners[2:], axis=3)]
    # (batch, height, 2, width, 2, channels)
    return ops.reshape(ops.stack(rows, axis=2), (-1, 2 * height, 2 * width, channels))
