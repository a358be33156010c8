import itertools

import numpy as np
import pytest
from keras import backend, ops

from keras_atinet.ops import max_pool_with_argmax, max_unpool


def to_windows(x):
    """From (batch, height, width, channels) to (batch, height / 2, width / 2, channels, 4)."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(batch, height // 2, width // 2, channels, 4)


def from_windows(windows):
    batch, height, width, channels, _ = windows.shape
    x = windows.reshape(batch, height, width, channels, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, 2 * height, 2 * width, channels)


@pytest.fixture(scope="module")
def images():
    """Each of the 81 windows of three values, so all the kinds of ties, in two images."""
    windows = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=4)), "float32")
    windows = np.concatenate([windows, -windows[:27]]).reshape(2, 3, 6, 3, 4)
    return from_windows(windows)


@pytest.fixture(scope="module")
def pooled_and_argmax(apply, images):
    return apply(max_pool_with_argmax, images)


@pytest.fixture(scope="module")
def values(pooled_and_argmax):
    """A positive number for each window."""
    shape = pooled_and_argmax[0].shape
    return np.random.RandomState(0).uniform(0.5, 1.5, shape).astype("float32")


def put_back(values, argmax):
    return from_windows(values[..., None] * (argmax[..., None] == np.arange(4)))


def test_pool_takes_the_first_maximum(images, pooled_and_argmax):
    pooled, argmax = pooled_and_argmax
    assert argmax.dtype == np.uint8 and pooled.dtype == np.float32
    np.testing.assert_array_equal(argmax, to_windows(images).argmax(axis=-1))
    np.testing.assert_array_equal(pooled, to_windows(images).max(axis=-1))


def test_unpool_puts_values_back(apply, pooled_and_argmax, values):
    _, argmax = pooled_and_argmax
    unpooled = apply(max_unpool, values, argmax)
    np.testing.assert_array_equal(unpooled, put_back(values, argmax))
    # Positive values in zeros pool back to themselves and to their places.
    for actual, expected in zip(
        apply(max_pool_with_argmax, unpooled), (values, argmax), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


def test_unpool_of_pool_keeps_the_maxima(apply, images, pooled_and_argmax):
    pooled, argmax = pooled_and_argmax
    unpooled = apply(max_unpool, pooled, argmax.astype("int32"))
    is_maximum = from_windows(argmax[..., None] == np.arange(4))
    np.testing.assert_array_equal(unpooled, np.where(is_maximum, images, 0))


def test_gradient_goes_to_the_first_maximum_only(gradient, images, pooled_and_argmax, values):
    weights = ops.convert_to_tensor(values)
    actual = gradient(lambda x: ops.sum(max_pool_with_argmax(x)[0] * weights), images)
    np.testing.assert_array_equal(actual, put_back(values, pooled_and_argmax[1]))


def test_gradient_of_unpool_comes_from_where_the_value_went(gradient, images, pooled_and_argmax):
    pooled, argmax = pooled_and_argmax
    argmax_tensor, weights = ops.convert_to_tensor(argmax), ops.convert_to_tensor(images)
    actual = gradient(lambda x: ops.sum(max_unpool(x, argmax_tensor) * weights), pooled)
    # The image itself is the weight, so each value gets its window's maximum.
    np.testing.assert_array_equal(actual, pooled)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_stays(images, dtype):
    pooled, argmax = max_pool_with_argmax(ops.cast(ops.convert_to_tensor(images), dtype))
    for y in (pooled, max_unpool(pooled, argmax)):
        assert backend.standardize_dtype(y.dtype) == dtype
