import functools

import numpy as np
import pytest

from keras_atinet.data import (
    Rooms,
    adjust_color,
    mask_depth,
    mask_labels,
    mirror,
    random_color,
    random_mirror,
    random_scale_crop,
    resize,
    scale_crop,
)
from keras_atinet.data.transforms.augmentation import get_augmentation
from keras_atinet.data.transforms.normals_from_depth import normals_from_depth

pytestmark = pytest.mark.backend_free
QUANTITY = {"quantity": {"kind": "quantity", "channels": 3}}


def make_sample(height=12, width=16):
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(height, width, 3)).astype("float32")
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    normal[0, 0] = 0
    return {
        "image": rng.random((height, width, 3), dtype="float32"),
        "segmentation": rng.integers(-1, 5, (height, width)).astype("int32"),
        "depth": rng.uniform(1, 5, (height, width, 1)).astype("float32"),
        "normal": normal,
    }


def test_scale_crop_takes_the_window():
    sample = make_sample()
    # Twice as large: pixel (i, j) is what was at (i // 2 + 3, j // 2 + 8).
    zoomed = scale_crop(sample, 2, position=(0.5, 1.0))
    rows, columns = np.arange(12) // 2 + 3, np.arange(16) // 2 + 8
    window = np.ix_(rows, columns)
    np.testing.assert_array_equal(zoomed["segmentation"], sample["segmentation"][window])
    np.testing.assert_allclose(zoomed["depth"], sample["depth"][window] / 2)
    stretched = sample["normal"][window] * [1, 1, 2]
    stretched /= np.linalg.norm(stretched, axis=-1, keepdims=True)
    np.testing.assert_allclose(zoomed["normal"], stretched, atol=1e-6)
    # Each new pixel of the image lies a quarter of a pixel beside an old one.
    mean = zoomed["image"].reshape(6, 2, 8, 2, 3)[:, :, :-1].mean((1, 3))
    blurred = sample["image"][3:9]
    padded = np.concatenate([sample["image"][2:3], blurred, sample["image"][9:10]])
    blurred = 0.125 * padded[:-2] + 0.75 * padded[1:-1] + 0.125 * padded[2:]
    blurred = 0.125 * blurred[:, 7:-2] + 0.75 * blurred[:, 8:-1] + 0.125 * blurred[:, 9:]
    np.testing.assert_allclose(mean, blurred, atol=1e-6)


def test_scale_crop_keeps_missing_pixels_missing():
    sample = make_sample()
    empty = {"depth": 0 * sample["depth"], "normal": 0 * sample["normal"]}
    for value in scale_crop(empty, 1.5).values():
        assert (value == 0).all()
    for key, value in scale_crop(sample, 1).items():
        np.testing.assert_allclose(value, sample[key], atol=1e-6)
    with pytest.raises(ValueError, match=r"scale=0\.9"):
        scale_crop(sample, 0.9)


def median_angle(depth, normal, focal, center):
    """Degrees between normals and those of the depth, seen by the camera `(fx, fy), (cx, cy)`."""
    known = normals_from_depth(depth, (*focal, *center))
    valid = (np.linalg.norm(known, axis=-1) > 0.5) & (np.linalg.norm(normal, axis=-1) > 0.5)
    assert valid.mean() > 0.3
    cosine = np.sum(known * normal, axis=-1)[valid]
    return np.degrees(np.median(np.arccos(np.clip(cosine, -1, 1))))


@pytest.mark.parametrize("index", [0, 1, 3, 5])
def test_normals_of_the_transformed_depth_are_the_transformed_normals(index):
    height, width = 144, 192
    rooms = Rooms(6, image_size=(height, width))
    sample, f = rooms[index], rooms.focal_length
    cx, cy = (width - 1) / 2, (height - 1) / 2
    assert median_angle(sample["depth"], sample["normal"], (f, f), (cx, cy)) < 0.1

    mirrored = mirror(sample)
    assert median_angle(mirrored["depth"], mirrored["normal"], (f, f), (cx, cy)) < 0.1
    assert median_angle(mirrored["depth"], sample["normal"][:, ::-1], (f, f), (cx, cy)) > 20

    resized = resize(sample, (108, 96))
    focal, center = (f / 2, 0.75 * f), ((cx + 0.5) / 2 - 0.5, 0.75 * (cy + 0.5) - 0.5)
    assert median_angle(resized["depth"], resized["normal"], focal, center) < 1

    scale, position = 1.6, (0.25, 0.75)
    zoomed = scale_crop(sample, scale, position)
    top, left = (p * n * (1 - 1 / scale) for p, n in zip(position, (height, width), strict=True))
    center = scale * (cx + 0.5 - left) - 0.5, scale * (cy + 0.5 - top) - 0.5
    assert median_angle(zoomed["depth"], zoomed["normal"], (f, f), center) < 1
    # The normals that MTAN keeps belong to a longer lens and a smaller scene.
    kept = scale_crop({"quantity": sample["normal"]}, scale, position, QUANTITY)["quantity"]
    assert median_angle(zoomed["depth"], kept, (scale * f, scale * f), center) < 1
    assert median_angle(zoomed["depth"], kept, (f, f), center) > 5


def test_colors_follow_their_definitions():
    image = make_sample()["image"] * 0.4 + 0.3

    def grey(x):
        return x @ np.array([0.299, 0.587, 0.114])

    expected = image * 1.1
    expected = 0.9 * expected + 0.1 * grey(expected).mean()
    expected = 1.2 * expected - 0.2 * grey(expected)[..., None]
    assert expected.min() > 0 and expected.max() < 1
    adjusted = adjust_color({"image": image}, brightness=1.1, contrast=0.9, saturation=1.2)
    np.testing.assert_allclose(adjusted["image"], expected, atol=1e-6)
    bright = adjust_color({"image": image}, brightness=9)["image"]
    assert bright.max() == 1
    grey_picture = adjust_color({"image": image}, saturation=0)["image"]
    np.testing.assert_allclose(grey_picture[..., 0], grey(image), atol=1e-6)


def test_masks():
    sample = make_sample()
    labels = mask_labels(sample, [1, 3])["segmentation"]
    expected = np.where(np.isin(sample["segmentation"], [1, 3]), sample["segmentation"], -1)
    np.testing.assert_array_equal(labels, expected)
    depth = mask_depth(sample, near=2, far=4)["depth"]
    outside = (sample["depth"] < 2) | (sample["depth"] > 4)
    np.testing.assert_array_equal(depth, np.where(outside, 0, sample["depth"]))
    assert 0 < outside.mean() < 1
    unlabelled = {"image": sample["image"]}
    assert mask_labels(unlabelled, [1]) == mask_depth(unlabelled, far=4) == unlabelled


def test_random_transforms_choose_by_the_generator():
    sample = make_sample()
    rngs = [np.random.default_rng(seed) for seed in range(30)]
    mirrored = [random_mirror(sample, rng) is not sample for rng in rngs]
    zoomed = [random_scale_crop(sample, rng) is not sample for rng in rngs]
    assert 8 < sum(mirrored) < 22 and 12 < sum(zoomed) < 28
    scales = {
        round(float((sample["depth"].max() / random_scale_crop(sample, rng)["depth"]).min()), 1)
        for rng in rngs
    }
    assert len(scales) > 1
    first, again, other = (
        random_color(sample, np.random.default_rng(seed))["image"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_augment_argument():
    assert get_augmentation(False, {}) == get_augmentation("none", {}) == []
    named = {name: get_augmentation(name, {}) for name in ("mirror", "color", "full", True)}
    named = {name: [getattr(f, "func", f) for f in value] for name, value in named.items()}
    assert named["mirror"] == [random_mirror]
    assert named["color"] == [random_color, random_mirror]
    assert named["full"] == named[True] == [random_scale_crop, random_color, random_mirror]
    assert get_augmentation(random_color, {}) == [random_color]
    facts = {"facing": {"kind": "normal"}}
    sample = {"image": make_sample()["image"], "facing": make_sample()["normal"]}
    for augment in (True, [random_mirror, functools.partial(random_scale_crop, scales=[2])]):
        for function in get_augmentation(augment, facts):
            assert set(function(sample, np.random.default_rng(0))) == {"image", "facing"}
    for wrong in ("flip", ["flip"]):
        with pytest.raises(TypeError, match=r"'full', 'none'.*'flip'"):
            get_augmentation(wrong, {})
