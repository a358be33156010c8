import keras
import numpy as np
from keras import ops


def conv(inputs, kernel, bias=None):
    """Convolution of stride 1 with zero padding, that keeps height and width.

    `y[b, i, j, o] = bias[o] + sum over p, q, c of x[b, i + p - r, j + q - s, c] kernel[p, q, c, o]`
    with `r = (kernel height - 1) / 2` and `s` likewise. On PyTorch nothing is copied from one
    layout to another, as `keras.ops.conv` does; on JAX 1x1 kernels and, on a CPU, gradients with
    respect to kernels are products of matrices.

    Args:
        inputs: float tensor `(batch, height, width, in)`, or a list of tensors whose channels
            count as if side by side.
        kernel: float tensor `(kernel height, kernel width, in, out)`, sides odd.
        bias: optional float tensor `(out,)`. Defaults to zeros.

    Returns:
        `(batch, height, width, out)`, dtype of `inputs`.
    """
    kernel = ops.convert_to_tensor(kernel)
    bias = None if bias is None else ops.convert_to_tensor(bias)
    if not isinstance(inputs, (list, tuple)):
        return _conv(inputs, kernel, bias)
    # A sum of convolutions keeps no copy of the inputs for the backward pass.
    # Slices, because `ops.split` on PyTorch copies the places to the device and back.
    ends = np.cumsum([x.shape[-1] for x in inputs]).tolist()
    parts = [kernel[:, :, end - x.shape[-1] : end] for x, end in zip(inputs, ends, strict=True)]
    (x, part), *others = zip(inputs, parts, strict=True)
    return sum((_conv(x, part) for x, part in others), start=_conv(x, part, bias))


def depthwise_conv(inputs, kernel):
    """Convolution of each channel by itself, of stride 1 with zero padding, that keeps the size.

    `y[b, i, j, c] = sum over p, q of x[b, i + p - r, j + q - s, c] kernel[p, q, c]`, as in `conv`.
    On JAX the sum is taken as it stands, which XLA fuses: its own convolution takes fifteen times
    as long on a CPU, where there are many channels.

    Args:
        inputs: float tensor `(batch, height, width, channels)`.
        kernel: float tensor `(kernel height, kernel width, channels)`, sides odd.

    Returns:
        Tensor of the shape and dtype of `inputs`.
    """
    if keras.backend.backend() != "jax":
        return ops.depthwise_conv(
            inputs, kernel[..., None], padding="same", data_format="channels_last"
        )
    height, width = inputs.shape[1:3]
    rows, columns = kernel.shape[:2]
    padding = [(0, 0), (rows // 2,) * 2, (columns // 2,) * 2, (0, 0)]
    padded = ops.pad(inputs, padding)
    return sum(
        padded[:, p : p + height, q : q + width] * kernel[p, q]
        for p in range(rows)
        for q in range(columns)
    )


def _in_tensorflow(inputs, kernel, bias=None):
    outputs = ops.conv(inputs, kernel, padding="same", data_format="channels_last")
    return outputs if bias is None else outputs + bias


def _in_jax(inputs, kernel, bias=None):
    from keras_atinet.ops.jax import conv

    outputs = conv(inputs, kernel)
    return outputs if bias is None else outputs + bias


def _in_torch(inputs, kernel, bias=None):
    import torch

    # Channels last in memory and first in shape, as PyTorch's kernels like it best.
    padding = [size // 2 for size in kernel.shape[:2]]
    outputs = torch.nn.functional.conv2d(
        inputs.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), bias, padding=padding
    )
    return outputs.permute(0, 2, 3, 1)


_conv = {"tensorflow": _in_tensorflow, "jax": _in_jax, "torch": _in_torch}[keras.backend.backend()]


def lay_out_kernel(kernel):
    """Puts the values of a variable `(height, width, in, out)` into memory as `conv` reads them.

    On PyTorch, where a train step of ATI-Net at full size takes 9 % longer without, on a CPU
    (`benchmarks/train_step.py --alternative row_major_kernels`).
    """
    if keras.backend.backend() == "torch":
        data = kernel.value.data
        kernel.value.data = data.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)
