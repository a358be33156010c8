import keras
import numpy as np
import pytest
from keras import ops

from keras_atinet.layers.batch_normalization import BatchNormalization

X = np.random.RandomState(0).normal(2, 3, (3, 4, 5, 6)).astype("float32")


def make(layer_class, dtype):
    layer = layer_class(momentum=0.9, epsilon=1e-5, dtype=dtype)
    layer.build(X.shape)
    random = np.random.RandomState(1)
    layer.set_weights([random.uniform(0.5, 2, 6).astype("float32") for _ in range(4)])
    return layer


@pytest.mark.parametrize(
    "dtype, tolerance", [("float32", 1e-5), ("mixed_float16", 2e-2), ("mixed_bfloat16", 0.1)]
)
def test_trains_as_the_layer_of_keras_does(gradient, dtype, tolerance):
    ours, theirs = make(BatchNormalization, dtype), make(keras.layers.BatchNormalization, dtype)
    compute_dtype = ours.compute_dtype
    weights = ops.cast(ops.convert_to_tensor(X[::-1].copy()), compute_dtype)

    def objective(layer):
        def compute(x):
            outputs = layer(ops.cast(x, compute_dtype), training=True)
            assert keras.backend.standardize_dtype(outputs.dtype) == compute_dtype
            return ops.sum(ops.cast(outputs * weights, "float32"))

        return compute

    actual, expected = gradient(objective(ours), X), gradient(objective(theirs), X)
    np.testing.assert_allclose(actual, expected, atol=tolerance)


def test_statistics_of_keras():
    ours, theirs = (
        make(BatchNormalization, "float32"),
        make(keras.layers.BatchNormalization, "float32"),
    )
    outputs = [
        ops.convert_to_numpy(layer(ops.convert_to_tensor(X), training=True))
        for layer in (ours, theirs)
    ]
    np.testing.assert_allclose(*outputs, atol=1e-5)
    for actual, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("mixed_bfloat16", 0.1)])
@pytest.mark.parametrize("training", [True, False])
def test_a_bias_counts_as_if_it_were_added(training, dtype, tolerance):
    ours, theirs = make(BatchNormalization, dtype), make(BatchNormalization, dtype)
    bias = np.random.RandomState(2).normal(0, 3, 6).astype("float32")
    x, bias = (ops.cast(ops.convert_to_tensor(array), ours.compute_dtype) for array in (X, bias))
    actual = ours(x, training=training, bias=bias)
    expected = theirs(x + bias, training=training)
    assert keras.backend.standardize_dtype(actual.dtype) == ours.compute_dtype
    np.testing.assert_allclose(
        *(ops.convert_to_numpy(ops.cast(y, "float32")) for y in (actual, expected)), atol=tolerance
    )
    for actual, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=tolerance)


def test_gradient_by_a_bias_that_cancels(gradient):
    layer = make(BatchNormalization, "float32")
    x, weights = ops.convert_to_tensor(X), ops.convert_to_tensor(X[::-1].copy())
    by_bias = gradient(
        lambda bias: ops.sum(layer(x, training=True, bias=bias) * weights), np.ones(6, "float32")
    )
    np.testing.assert_array_equal(by_bias, np.zeros(6))


def test_frozen_uses_the_moving_statistics():
    layer = make(BatchNormalization, "float32")
    layer.trainable = False
    before = layer.get_weights()
    x = ops.convert_to_tensor(X)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(layer(x, training=True)), ops.convert_to_numpy(layer(x))
    )
    for actual, expected in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(actual, expected)
