import numpy as np
import pytest

from keras_atinet.data.preparation.packing import pack, packed_dtype, unpack

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(("kind", "steps", "low"), [("image", 255, 0.0), ("normal", 32767, -1.0)])
def test_steps(kind, steps, low):
    value = np.linspace(low, 1, 777, dtype="float32").reshape(7, 37, 3)
    packed = pack(value, kind, packed_dtype(kind))
    again = unpack(packed, kind)
    assert again.dtype == np.float32
    np.testing.assert_allclose(again, value, atol=0.5 / steps + 1e-7)
    np.testing.assert_array_equal(pack(again, kind, packed.dtype), packed)


@pytest.mark.parametrize(("kind", "value"), [("image", 1.01), ("normal", 1.0004)])
def test_nothing_wraps_around(kind, value):
    packed = pack(np.full((2, 2, 3), value, "float32"), kind, packed_dtype(kind))
    np.testing.assert_array_equal(unpack(packed, kind), 1)


@pytest.mark.parametrize("num_classes", [1, 127, 128, 129, 895, 32768, 32769, 100_000])
def test_labels_are_exact(num_classes):
    labels = np.array([[-1, 0, num_classes - 1]], "int32")
    dtype = packed_dtype("segmentation", {"num_classes": num_classes})
    np.testing.assert_array_equal(
        unpack(pack(labels, "segmentation", dtype), "segmentation"), labels
    )
    assert dtype.itemsize == (1 if num_classes <= 128 else 2 if num_classes <= 32768 else 4)


def test_all_else_stays():
    value = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    for kind in ("depth", "quantity"):
        again = unpack(pack(value, kind, packed_dtype(kind)), kind)
        np.testing.assert_array_equal(again, value)
        assert again is not value
