import pickle

import numpy as np
import pytest

from keras_atinet.data import Rooms
from keras_atinet.data.rooms.layout import furnish, place_camera

pytestmark = pytest.mark.backend_free


def unproject(rooms, depth):
    height, width = rooms.image_size
    x = (np.arange(width) - (width - 1) / 2) / rooms.focal_length
    y = (np.arange(height) - (height - 1) / 2) / rooms.focal_length
    rays = np.stack([*np.meshgrid(x, y), np.ones((height, width))], axis=-1)
    return rays, rays * depth.astype("float64")


def test_samples_are_as_promised():
    sample = Rooms(2, image_size=(48, 80))[1]
    assert set(sample) == {"image", "segmentation", "depth", "normal"}
    assert sample["image"].shape == sample["normal"].shape == (48, 80, 3)
    assert sample["segmentation"].shape == (48, 80)
    assert sample["depth"].shape == (48, 80, 1)
    assert sample["segmentation"].dtype == np.int32
    for key in ("image", "depth", "normal"):
        assert sample[key].dtype == np.float32
    assert sample["image"].min() >= 0 and sample["image"].max() <= 1
    assert sample["image"].std() > 0.02
    assert sample["depth"].min() > 0.05 and sample["depth"].max() < 9
    assert sample["segmentation"].min() >= 0 and sample["segmentation"].max() < 13


@pytest.mark.parametrize("index", range(5))
def test_normals_are_those_of_the_depth(index):
    rooms = Rooms(10)
    sample = rooms[index]
    rays, points = unproject(rooms, sample["depth"])
    normal = sample["normal"]
    np.testing.assert_allclose(np.linalg.norm(normal, axis=-1), 1, atol=1e-5)
    assert (np.einsum("hwc,hwc->hw", normal, rays) < 0).all()
    right, below = points[:-1, 1:] - points[:-1, :-1], points[1:, :-1] - points[:-1, :-1]
    measured = np.cross(below, right)
    measured /= np.linalg.norm(measured, axis=-1, keepdims=True)
    # Inside faces: the three pixels lie in one plane.
    corner = normal[:-1, :-1]
    inside = np.abs(np.einsum("hwc,hwc->hw", right, corner)) < 1e-4
    inside &= np.abs(np.einsum("hwc,hwc->hw", below, corner)) < 1e-4
    assert inside.mean() > 0.8
    cosine = np.einsum("hwc,hwc->hw", measured, corner)[inside]
    assert np.quantile(cosine, 0.01) > 0.999


def test_floor_lies_below_and_ceiling_above():
    rooms = Rooms(20)
    for sample in (rooms[index] for index in range(20)):
        floor, ceiling = sample["segmentation"] == 4, sample["segmentation"] == 2
        assert (sample["normal"][floor][:, 1] < -0.9).all()
        assert (sample["normal"][ceiling][:, 1] > 0.9).all()
        floor_points = unproject(rooms, sample["depth"])[1][floor]
        height = -np.einsum("nc,nc->n", floor_points, sample["normal"][floor])
        if height.size:
            # The camera's height above the floor, the same at all its pixels.
            np.testing.assert_allclose(-height, -height[0], atol=1e-3)
            assert 1.1 < abs(height[0]) < 1.8


@pytest.mark.parametrize("seed", range(30))
def test_furniture_stands_apart_and_away_from_the_camera(seed):
    rng = np.random.default_rng(seed)
    room = furnish(rng)
    position, axes = place_camera(rng, room)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert (position > 0).all() and (position < room.size).all()
    footprints = np.array(room.footprints)
    low, high = footprints[:, :2], footprints[:, 2:]
    assert (low > -1e-6).all() and (high < room.size[:2] + 1e-6).all()
    overlap = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    np.fill_diagonal(overlap[..., 0], -1)
    assert (overlap.min(axis=-1) < 1e-6).all()
    assert (np.maximum(low - position[:2], position[:2] - high).max(axis=1) > 0.1).all()


def test_all_classes_occur():
    rooms = Rooms(60, image_size=(48, 64))
    found = sum(np.bincount(sample["segmentation"].ravel(), minlength=13) > 0 for sample in rooms)
    assert found.min() >= 4
    facts = rooms.tasks["segmentation"]
    assert facts["num_classes"] == len(facts["class_names"]) == len(facts["class_colors"]) == 13
    assert facts["class_names"][4] == "floor" and facts["class_names"][12] == "window"


def test_a_sample_depends_on_seed_split_and_index_only():
    rooms = Rooms(3)
    for key, value in rooms[2].items():
        np.testing.assert_array_equal(value, Rooms(9)[2][key])
        np.testing.assert_array_equal(value, pickle.loads(pickle.dumps(rooms))[-1][key])
    for other in (Rooms(3, split="test")[2], Rooms(3, seed=1)[2], rooms[1]):
        assert (other["depth"] != rooms[2]["depth"]).mean() > 0.9


def test_a_larger_picture_shows_the_same_room():
    small, large = Rooms(1, image_size=(33, 45))[0], Rooms(1, image_size=(99, 135))[0]
    same = small["segmentation"] == large["segmentation"][1::3, 1::3]
    assert same.mean() > 0.99
    difference = np.abs(small["depth"] - large["depth"][1::3, 1::3])[same]
    assert np.median(difference) < 1e-4


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="num_samples=0"):
        Rooms(0)
    with pytest.raises(IndexError, match="index=3"):
        Rooms(3)[3]
