import keras
import numpy as np
import pytest
from keras import backend, ops

from keras_atinet.layers import InferenceBilinearResizing
from keras_atinet.ops import inference, resize_bilinear, upsample_align_corners


def reference(x):
    """Output i along an axis of size n samples the input at i (n - 1) / (2n - 1)."""
    for axis in (1, 2):
        size = x.shape[axis]
        position = np.linspace(0, size - 1, 2 * size)
        x = np.apply_along_axis(
            lambda line, at=position: np.interp(at, np.arange(len(line)), line), axis, x
        )
    return x


@pytest.mark.parametrize("height, width", [(1, 1), (1, 2), (3, 5), (5, 3)])
def test_against_interpolation(apply, height, width):
    x = np.random.RandomState(0).standard_normal((2, height, width, 3)).astype("float32")
    y = apply(upsample_align_corners, x)
    assert y.shape == (2, 2 * height, 2 * width, 3) and y.dtype == np.float32
    np.testing.assert_allclose(y, reference(x), atol=1e-6)
    # The corners are the very same numbers.
    np.testing.assert_array_equal(y[:, :: 2 * height - 1, :: 2 * width - 1], corners(x))


def corners(x):
    return x[:, [0, -1]][:, :, [0, -1]]


def test_gradient_is_the_transposed_interpolation(gradient):
    weights = np.random.RandomState(1).standard_normal((1, 6, 10, 1)).astype("float32")
    tensor = ops.convert_to_tensor(weights)
    x = np.zeros((1, 3, 5, 1), "float32")
    actual = gradient(lambda x: ops.sum(upsample_align_corners(x) * tensor), x)
    basis = np.eye(15, dtype="float32").reshape(15, 3, 5, 1)
    expected = (reference(basis) * weights).sum(axis=(1, 2, 3)).reshape(x.shape)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_stays(apply, dtype):
    def upsample(x):
        y = upsample_align_corners(ops.cast(x, dtype))
        assert backend.standardize_dtype(y.dtype) == dtype
        return ops.cast(y, "float32")

    np.testing.assert_array_equal(apply(upsample, np.ones((1, 1, 2, 1), "float32")), 1)


def half_pixel_reference(x, size):
    """Output i of m along an axis of size n samples the input at (i + 1/2) n / m - 1/2."""
    for axis, count in zip((1, 2), size, strict=True):
        position = (np.arange(count) + 0.5) * x.shape[axis] / count - 0.5
        x = np.apply_along_axis(
            lambda line, at=position: np.interp(at, np.arange(len(line)), line), axis, x
        )
    return x


@pytest.mark.parametrize("resize", [resize_bilinear, inference.resize_bilinear])
@pytest.mark.parametrize(
    "before, after", [((3, 4), (5, 8)), ((1, 1), (2, 3)), ((4, 3), (9, 3)), ((5, 7), (2, 3))]
)
def test_resizing_to_the_size_of_another(apply, resize, before, after):
    x = np.random.RandomState(0).standard_normal((2, *before, 3)).astype("float32")
    like = np.zeros((2, *after, 1), "float32")
    y = apply(resize, x, like)
    assert y.shape == (2, *after, 3) and y.dtype == np.float32
    np.testing.assert_allclose(y, half_pixel_reference(x, after), atol=1e-6)


@pytest.mark.parametrize("resize", [resize_bilinear, inference.resize_bilinear])
def test_resizing_to_the_same_size_is_no_operation(resize):
    x, like = ops.ones((2, 3, 4, 2)), ops.ones((2, 3, 4, 5))
    assert resize(x, like) is x


def test_gradient_of_resizing(gradient):
    weights = np.random.RandomState(1).standard_normal((1, 5, 8, 1)).astype("float32")
    tensor = ops.convert_to_tensor(weights)
    x = np.zeros((1, 3, 5, 1), "float32")
    actual = gradient(lambda x: ops.sum(resize_bilinear(x, tensor) * tensor), x)
    basis = np.eye(15, dtype="float32").reshape(15, 3, 5, 1)
    expected = (half_pixel_reference(basis, (5, 8)) * weights).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(actual, expected.reshape(x.shape), atol=1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of tf2onnx about NumPy
@pytest.mark.skipif(backend.backend() != "tensorflow", reason="ONNX files are written there")
def test_resizing_to_a_known_size_in_an_onnx_file(tmp_path):
    # 3 (5 / 3) in float32, rounded down, is 4.
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    image = keras.Input((5, 6, 1))
    outputs = InferenceBilinearResizing()(image[:, :3, :4], image)
    path = str(tmp_path / "resizing.onnx")
    model = keras.Model(image, outputs)
    model(np.zeros((2, 5, 6, 1)))
    model.export(path, format="onnx", verbose=False)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = np.random.RandomState(0).standard_normal((2, 5, 6, 1)).astype("float32")
    (y,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(y, half_pixel_reference(x[:, :3, :4], (5, 6)), atol=1e-6)
