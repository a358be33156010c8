import time

import numpy as np
import pytest

from keras_atinet.data import Rooms, mirror
from keras_atinet.data.transforms.normals_from_depth import normals_from_depth

pytestmark = pytest.mark.backend_free
SIZE = (60, 80)
INTRINSICS = (70.0, 72.0, 38.2, 31.7)


def rays(size=SIZE, intrinsics=INTRINSICS):
    fx, fy, cx, cy = intrinsics
    rows, columns = np.indices(size)
    return np.stack([(columns - cx) / fx, (rows - cy) / fy, np.ones(size)], axis=-1)


def plane(normal, distance, size=SIZE, intrinsics=INTRINSICS):
    """Unit normal and depth of the plane `normal . X = -distance`."""
    normal = np.divide(normal, np.linalg.norm(normal))
    return normal, -distance / (rays(size, intrinsics) @ normal)


def angle(first, second):
    """Radians, exact for small angles."""
    cross = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.arctan2(cross, (first * second).sum(axis=-1))


def known(normals):
    length = np.linalg.norm(normals, axis=-1)
    np.testing.assert_allclose(length[length > 0], 1, atol=1e-6)
    return length > 0


@pytest.mark.parametrize(
    "normal", [(0, 0, -1), (0, -1, -0.7), (0.6, 0.1, -1), (-0.6, 0, -1), (0.2, 0.8, -1)]
)
def test_planes_are_exact(normal):
    expected, depth = plane(normal, 2.0)
    normals = normals_from_depth(depth.astype("float32"), INTRINSICS)
    assert normals.shape == (*SIZE, 3) and normals.dtype == np.float32
    assert known(normals).all()
    assert angle(normals, expected).max() < 1e-4


def test_a_plane_with_holes_is_exact_beside_them():
    expected, depth = plane((0.3, -0.5, -1), 2.0)
    rng = np.random.default_rng(0)
    depth[rng.random(SIZE) < 0.4] = 0
    depth[10:40, 20:45] = np.nan
    depth[rng.random(SIZE) < 0.05] = -1
    holes = ~(np.nan_to_num(depth) > 0)
    normals = normals_from_depth(depth, INTRINSICS)
    assert not known(normals)[holes].any()
    assert known(normals)[~holes].mean() > 0.99
    assert angle(normals, expected)[known(normals)].max() < 1e-4


@pytest.mark.parametrize("edge", ["step", "roof"])
def test_planes_are_exact_up_to_the_edge_between_them(edge):
    left, near = plane((0.5, -0.3, -1), 1.5)
    right, far = plane((-0.5, -0.2, -1), 3.0 if edge == "step" else 1.5)
    on_left = np.arange(SIZE[1]) < 40 if edge == "step" else near < far
    on_left = np.broadcast_to(on_left, SIZE)
    normals = normals_from_depth(np.where(on_left, near, far), INTRINSICS)
    error = angle(normals, np.where(on_left[..., None], left, right))
    if edge == "step":
        assert known(normals).all() and error.max() < 1e-3
    else:
        # Nobody knows on which side of the fold a pixel beside it lies.
        assert (error > 1e-3).mean() < 0.01


def test_a_sphere():
    center, radius = np.array([0.1, -0.05, 2.0]), 0.8
    direction = rays()
    b = direction @ center
    square = (direction**2).sum(axis=-1)
    root = b**2 - square * (center @ center - radius**2)
    hit = root > 0
    depth = np.where(hit, (b - np.sqrt(np.maximum(root, 0))) / square, 0)
    normals = normals_from_depth(depth, INTRINSICS, radius=2)
    expected = (direction * depth[..., None] - center) / radius
    error = angle(normals, expected)[known(normals)]
    assert known(normals)[hit].mean() > 0.95
    assert np.median(error) < 0.02 and error.mean() < 0.04


def test_the_unit_of_depth_does_not_matter():
    depth = Rooms(1, SIZE)[0]["depth"]
    normals = normals_from_depth(depth, INTRINSICS)
    np.testing.assert_allclose(normals_from_depth(1000 * depth, INTRINSICS), normals, atol=1e-5)


def test_a_mirrored_depth_has_mirrored_normals():
    room = Rooms(1, SIZE)[0]
    fx, fy, cx, cy = INTRINSICS
    sample = {**room, "normal": normals_from_depth(room["depth"], INTRINSICS)}
    mirrored = mirror(sample)
    normals = normals_from_depth(mirrored["depth"], (fx, fy, SIZE[1] - 1 - cx, cy))
    np.testing.assert_allclose(normals, mirrored["normal"], atol=1e-4)


def test_noise_and_outliers():
    expected, depth = plane((0.3, -0.4, -1), 2.0, (120, 160), (140.0, 140.0, 80.0, 60.0))
    rng = np.random.default_rng(0)
    noisy = depth * (1 + 0.003 * rng.normal(size=depth.shape))
    outlier = rng.random(depth.shape) < 0.01
    noisy[outlier] *= rng.choice([0.5, 0.7, 1.5], outlier.sum())
    normals = normals_from_depth(noisy, (140.0, 140.0, 80.0, 60.0))
    assert not known(normals)[outlier].any()
    assert known(normals)[~outlier].mean() > 0.99
    assert np.degrees(angle(normals, expected)[known(normals)].mean()) < 2


def test_agrees_with_drawn_rooms():
    rooms = Rooms(3, (120, 160))
    f = rooms.focal_length
    errors = []
    for room in rooms:
        normals = normals_from_depth(room["depth"], (f, f, 79.5, 59.5), radius=2)
        assert known(normals).mean() > 0.98
        errors.append(angle(normals, room["normal"])[known(normals)])
    errors = np.degrees(np.concatenate(errors))
    # The rest lies at corners and beside objects of two or three pixels.
    assert (errors < 1).mean() > 0.85 and errors.mean() < 5


@pytest.mark.parametrize(
    "depth", [np.zeros(SIZE), np.full((1, 1), 2.0), np.eye(20), np.full(SIZE, np.nan)]
)
def test_nothing_is_known_of_too_few_pixels(depth):
    assert not normals_from_depth(depth, INTRINSICS).any()


def test_is_fast():
    # The promise is half a second on one core; this allows for a busy one.
    depth = np.tile(Rooms(1, (120, 160))[0]["depth"], (4, 4, 1))
    times = []
    for _ in range(3):
        start = time.process_time()
        normals_from_depth(depth, (519.0, 519.0, 320.0, 240.0))
        times.append(time.process_time() - start)
    assert min(times) < 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": np.ones((4, 4, 3))}, r"`depth`.*\(4, 4, 3\)"),
        ({"depth": np.ones((0, 4))}, r"`depth`.*\(0, 4\)"),
        ({"intrinsics": (1.0, 1.0, 1.0)}, "`intrinsics`"),
        ({"intrinsics": (0.0, 1.0, 1.0, 1.0)}, "`intrinsics`"),
        ({"radius": 0}, "radius=0"),
        ({"tolerance": 0}, "tolerance=0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        normals_from_depth(**{"depth": np.ones(SIZE), "intrinsics": INTRINSICS, **arguments})
