import numpy as np
import pytest
from keras import backend, ops

from keras_atinet.ops import unit_vector


def test_length_is_one(apply):
    x = np.random.RandomState(0).standard_normal((2, 3, 4, 3)).astype("float32")
    x *= 10.0 ** np.arange(-4, 4, dtype="float32").reshape(2, 1, 4, 1)
    y = apply(unit_vector, x)
    np.testing.assert_allclose(y, x / np.linalg.norm(x, axis=-1, keepdims=True), atol=1e-6)


def test_gradient(gradient):
    vectors = np.array([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]], "float32")
    direction = np.array([1.0, -2.0, 0.5], "float32")
    tensor = ops.convert_to_tensor(direction)
    actual = gradient(lambda x: ops.sum(unit_vector(x) * tensor), vectors)
    unit = vectors[0] / 5
    np.testing.assert_allclose(actual[0], (direction - unit * (unit @ direction)) / 5, atol=1e-6)
    # Anything else would be of the size of 1 / 0.
    np.testing.assert_array_equal(actual[1], 0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_zero_and_long_vectors_in_every_precision(apply, dtype):
    def scale(x):
        y = unit_vector(ops.cast(x, dtype))
        assert backend.standardize_dtype(y.dtype) == dtype
        return ops.cast(y, "float32")

    vectors = np.array([[0.0, 0.0, 0.0], [0.0, -1000.0, 0.0]], "float32")
    np.testing.assert_allclose(apply(scale, vectors), [[0, 0, 0], [0, -1, 0]], atol=1e-6)
