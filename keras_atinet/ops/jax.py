"""Convolutions as XLA computes them well, on CPUs too."""

import math

import jax
from jax import lax
from jax import numpy as jnp

ROWS = 8  # of an image at a time, so that what is gathered stays in the cache


def conv(inputs, kernel):
    """Convolution of stride 1 with zero padding, `(batch, height, width, in)` and HWIO."""
    if kernel.shape[:2] == (1, 1):
        return jnp.matmul(inputs, kernel[0, 0])  # on a CPU several times as fast
    return _conv(inputs, kernel)


def _plain(inputs, kernel):
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(inputs, kernel, (1, 1), "SAME", dimension_numbers=layout)


_conv = jax.custom_vjp(_plain)


def _forward(inputs, kernel):
    return _plain(inputs, kernel), (inputs, kernel)


def _backward(residuals, gradient):
    inputs, kernel = residuals
    (by_inputs,) = jax.vjp(lambda inputs: _plain(inputs, kernel), inputs)[1](gradient)

    def native(inputs, gradient):
        return jax.vjp(lambda kernel: _plain(inputs, kernel), kernel)[1](gradient)[0]

    def products(inputs, gradient):
        return _by_kernel(inputs, gradient, kernel.shape[:2]).astype(kernel.dtype)

    by_kernel = lax.platform_dependent(inputs, gradient, cpu=products, default=native)
    return by_inputs, by_kernel


_conv.defvjp(_forward, _backward)


def _by_kernel(inputs, gradient, size):
    """`dK[p, q, c, o] = sum over b, i, j of x[b, i, j, c] dy[b, i + r - p, j + s - q, o]`.

    As products of matrices: some rows of the images by the same rows of all the shifted gradients,
    side by side. XLA's own convolution for it takes three times as long on a CPU, and a train step
    of MTAN at 160 x 192 then 16 % longer
    (`benchmarks/train_step.py --alternative xla_kernel_gradient`).
    """
    batch, height, width, channels = inputs.shape
    filters = gradient.shape[-1]
    top, left = (n // 2 for n in size)
    gradient = jnp.pad(gradient, ((0, 0), (top, top), (left, left), (0, 0)))
    rows = math.gcd(height, ROWS)
    blocks = height // rows

    def add(index, total):
        image, row = index // blocks, rows * (index % blocks)
        x = lax.dynamic_slice(inputs, (image, row, 0, 0), (1, rows, width, channels))
        dy = lax.dynamic_slice(
            gradient,
            (image, row, 0, 0),
            (1, rows + 2 * top, width + 2 * left, filters),
        )[0]
        shifted = [
            dy[2 * top - p : 2 * top - p + rows, 2 * left - q : 2 * left - q + width]
            for p in range(size[0])
            for q in range(size[1])
        ]
        shifted = jnp.concatenate(shifted, axis=-1).reshape(rows * width, -1)
        x = x.reshape(rows * width, channels)
        return total + jnp.matmul(x.T, shifted, preferred_element_type=total.dtype)

    total = jnp.zeros((channels, math.prod(size) * filters), "float32")
    total = lax.fori_loop(0, batch * blocks, add, total)
    return total.reshape(channels, *size, filters).transpose(1, 2, 0, 3)
