import numpy as np
import pytest

from keras_atinet.data import fill_missing, mirror, resize

pytestmark = pytest.mark.backend_free


def make_sample(height=12, width=16, seed=0):
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(height, width, 3)).astype("float32")
    return {
        "image": rng.random((height, width, 3), dtype="float32"),
        "segmentation": rng.integers(-1, 5, (height, width)).astype("int32"),
        "depth": rng.uniform(1, 5, (height, width, 1)).astype("float32"),
        "normal": normal / np.linalg.norm(normal, axis=-1, keepdims=True),
    }


@pytest.mark.parametrize("size", [(6, 8), (24, 32), (7, 30), (12, 16)])
def test_resize_keeps_what_each_key_is(size):
    sample = make_sample()
    resized = resize(sample, size)
    for key, value in resized.items():
        assert value.shape == size + sample[key].shape[2:]
        assert value.dtype == sample[key].dtype
    # Labels and depth are never blended.
    assert np.isin(resized["segmentation"], sample["segmentation"]).all()
    assert np.isin(resized["depth"], sample["depth"]).all()
    length = np.linalg.norm(resized["normal"], axis=-1)
    np.testing.assert_allclose(length[length > 0], 1, atol=1e-5)


def test_resize_halves_an_image_with_a_triangle():
    image = np.zeros((1, 8, 3), "float32")
    image[0, 4] = 1
    resized = resize({"image": image}, (1, 4))["image"]
    # New pixel i lies at 2i + 0.5 and reaches over 2 pixels: weights 1, 3, 3, 1.
    np.testing.assert_allclose(resized[0, :, 0], [0, 1 / 8, 3 / 8, 0], atol=1e-6)


def test_resize_keeps_a_ramp_when_enlarging():
    ramp = np.repeat(np.linspace(0, 1, 9, dtype="float32")[None, :, None], 3, axis=2)
    resized = resize({"image": ramp}, (1, 18))["image"][0, :, 0]
    expected = np.interp((np.arange(18) + 0.5) / 2 - 0.5, np.arange(9), ramp[0, :, 0])
    np.testing.assert_allclose(resized, expected, atol=1e-6)


def test_nearest_takes_the_pixel_under_the_centre():
    labels = np.arange(12, dtype="int32").reshape(2, 6)
    resized = resize({"segmentation": labels}, (1, 3))["segmentation"]
    np.testing.assert_array_equal(resized, [[7, 9, 11]])
    np.testing.assert_array_equal(
        resize({"segmentation": labels}, (4, 12))["segmentation"],
        labels.repeat(2, axis=0).repeat(2, axis=1),
    )


def test_missing_normals_do_not_bend_their_neighbours():
    normal = np.zeros((8, 8, 3), "float32")
    normal[:, :4] = [0.6, 0, -0.8]
    resized = resize({"normal": normal}, (4, 4))["normal"]
    np.testing.assert_allclose(resized[:, :2], np.full((4, 2, 3), [0.6, 0, -0.8]), atol=1e-6)
    np.testing.assert_array_equal(resized[:, 2:], 0)
    assert (resize({"normal": 0 * normal}, (4, 4))["normal"] == 0).all()


def test_mirror_negates_x_of_normals_and_is_its_own_inverse():
    sample = make_sample()
    mirrored = mirror(sample)
    np.testing.assert_array_equal(mirrored["depth"], sample["depth"][:, ::-1])
    np.testing.assert_array_equal(mirrored["normal"], sample["normal"][:, ::-1] * [-1, 1, 1])
    for key, value in mirror(mirrored).items():
        np.testing.assert_array_equal(value, sample[key])
        assert value.dtype == sample[key].dtype


def test_fill_missing():
    sample = make_sample()
    tasks = {
        "segmentation": {"num_classes": 5},
        "depth": {},
        "normal": {},
        "edges": {"channels": 2},
    }
    filled = fill_missing({"image": sample["image"], "depth": sample["depth"]}, tasks)
    assert list(filled) == ["image", *tasks]
    assert filled["depth"] is sample["depth"]
    np.testing.assert_array_equal(filled["segmentation"], np.full((12, 16), -1))
    np.testing.assert_array_equal(filled["normal"], np.zeros((12, 16, 3)))
    assert filled["edges"].shape == (12, 16, 2)
    assert filled["segmentation"].dtype == np.int32 and filled["normal"].dtype == np.float32
    with pytest.raises(ValueError, match="'albedo'"):
        fill_missing(sample, {"albedo": {}})
    with pytest.raises(ValueError, match=r"`channels`.*'albedo'"):
        fill_missing(sample, {"albedo": {"kind": "quantity"}})


def test_the_kind_decides_how_a_target_is_treated():
    sample = {"albedo": make_sample()["normal"], "facing": make_sample()["normal"]}
    facts = {"albedo": {"kind": "quantity", "channels": 3}, "facing": {"kind": "normal"}}
    mirrored = mirror(sample, facts)
    np.testing.assert_array_equal(mirrored["albedo"], sample["albedo"][:, ::-1])
    np.testing.assert_array_equal(mirrored["facing"], sample["facing"][:, ::-1] * [-1, 1, 1])
    resized = resize(sample, (6, 8), facts)
    assert np.isin(resized["albedo"], sample["albedo"]).all()
    assert not np.isin(resized["facing"], sample["facing"]).all()
    with pytest.raises(ValueError, match="'albedo'"):
        mirror(sample)
