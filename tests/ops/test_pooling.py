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


def images():
    """Each of the 81 windows of three values (all the kinds of ties), laid out in two images."""
    windows = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=4)), "float32")
    windows = np.concatenate([windows, -windows[:27]]).reshape(2, 3, 6, 3, 4)
    return from_windows(windows)


@pytest.fixture(scope="module")
def pooled_and_argmax():
    return [ops.convert_to_numpy(y) for y in max_pool_with_argmax(ops.convert_to_tensor(images()))]


def test_pool_takes_the_first_maximum(pooled_and_argmax):
    pooled, argmax = pooled_and_argmax
    windows = to_windows(images())
    assert argmax.dtype == np.uint8 and pooled.dtype == np.float32
    np.testing.assert_array_equal(argmax, windows.argmax(axis=-1))
    np.testing.assert_array_equal(pooled, windows.max(axis=-1))


def test_unpool(pooled_and_argmax):
    pooled, argmax = pooled_and_argmax
    values = np.random.RandomState(0).uniform(0.5, 1.5, pooled.shape).astype("float32")
    unpooled = max_unpool(ops.convert_to_tensor(values), ops.convert_to_tensor(argmax))
    expected = from_windows(values[..., None] * (argmax[..., None] == np.arange(4)))
    np.testing.assert_array_equal(ops.convert_to_numpy(unpooled), expected)
    # What was unpooled pools back to the same values and places: they are positive.
    for actual, wanted in zip(max_pool_with_argmax(unpooled), (values, argmax), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(actual), wanted)


def test_unpool_of_pool_keeps_the_maxima(pooled_and_argmax):
    pooled, argmax = pooled_and_argmax
    unpooled = ops.convert_to_numpy(
        max_unpool(ops.convert_to_tensor(pooled), ops.convert_to_tensor(argmax.astype("int32")))
    )
    is_maximum = from_windows(argmax[..., None] == np.arange(4))
    np.testing.assert_array_equal(unpooled, np.where(is_maximum, images(), 0))


def test_gradient_goes_to_the_first_maximum_only(gradient, pooled_and_argmax):
    pooled, argmax = pooled_and_argmax
    values = np.random.RandomState(0).uniform(0.5, 1.5, pooled.shape).astype("float32")
    actual = gradient(lambda x: ops.sum(max_pool_with_argmax(x)[0] * values), images())
    expected = from_windows(values[..., None] * (argmax[..., None] == np.arange(4)))
    np.testing.assert_array_equal(actual, expected)


def test_gradient_of_unpool_comes_from_the_place_of_the_maximum(gradient, pooled_and_argmax):
    pooled, argmax = pooled_and_argmax
    values = images()
    actual = gradient(lambda x: ops.sum(max_unpool(x, argmax) * values), pooled)
    expected = np.take_along_axis(to_windows(values), argmax[..., None].astype("int64"), axis=-1)
    np.testing.assert_array_equal(actual, expected[..., 0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dtype_stays(dtype):
    pooled, argmax = max_pool_with_argmax(ops.cast(ops.convert_to_tensor(images()), dtype))
    unpooled = max_unpool(pooled, argmax)
    assert [backend.standardize_dtype(y.dtype) for y in (pooled, unpooled)] == [dtype] * 2
