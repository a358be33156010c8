import io
import math

import numpy as np
import pytest

from keras_atinet.files import WriteError
from keras_atinet.prediction.point_cloud import field_of_view, point_cloud, write_ply

pytestmark = pytest.mark.backend_free


def test_points_of_a_wall_lie_where_a_pinhole_camera_sees_them():
    image = np.arange(4 * 6 * 3, dtype="uint8").reshape(4, 6, 3)
    normals = np.tile(np.float32([0.6, 0, -0.8]), (4, 6, 1))
    cloud = point_cloud(np.full((4, 6, 1), 2.0), 90, image, normals)
    # 90 degrees see 4 m of a wall at 2 m, in 6 pixels.
    side = 4 / 6
    x = side * (np.arange(6) - 2.5)
    y = side * (1.5 - np.arange(4))
    expected = np.stack([*np.meshgrid(x, y), np.full((4, 6), -2.0)], axis=-1)
    np.testing.assert_allclose(cloud.points, expected.reshape(-1, 3), atol=1e-6)
    np.testing.assert_array_equal(cloud.colors, image.reshape(-1, 3))
    np.testing.assert_allclose(cloud.normals, np.tile(np.float32([0.6, 0, 0.8]), (24, 1)))


def test_unknown_depths_make_no_points():
    depth = np.full((3, 5), 2.0)
    depth[0, :3] = 0, np.nan, np.inf
    cloud = point_cloud(depth)
    assert len(cloud.points) == 12 and np.isfinite(cloud.points).all()
    assert cloud.colors is None and cloud.normals is None


def test_the_slope_between_near_and_far_is_left_out_and_a_floor_is_not():
    ramp = np.interp(np.arange(200), [96, 104], [1, 3])
    depth = np.tile(ramp, (8, 1))
    assert len(point_cloud(depth, 60, min_angle=0).points) == depth.size
    z = -point_cloud(depth, 60).points[:, 2]
    assert set(z) == {1, 3} and len(z) > 0.9 * depth.size
    # Seen from 45 degrees to 11 below the horizon.
    floor = np.tile(1.5 / np.linspace(0.2, 1, 100)[:, None], (1, 200))
    cloud = point_cloud(floor[::-1], 2 * math.degrees(math.atan(200 / 2 / 124)))
    assert len(cloud.points) == floor.size


@pytest.mark.parametrize("size", [(30, 40), (1, 500), (500, 3), (1, 1)])
@pytest.mark.parametrize("max_points", [1, 7, 100, 10_000])
def test_the_number_of_points_is_bounded(size, max_points):
    found = len(point_cloud(np.full(size, 2.0), max_points=max_points).points)
    assert 1 <= found <= max_points
    assert found >= min(max_points / 8, np.prod(size))


def test_what_is_refused():
    depth = np.ones((3, 4, 1))
    for fov in (0, 180, -5, math.nan):
        with pytest.raises(ValueError, match="field of view must be above 0 and below 180"):
            point_cloud(depth, fov)
    with pytest.raises(ValueError, match=r"`image` must have the size of `depth`"):
        point_cloud(depth, image=np.zeros((4, 3, 3), "uint8"))
    with pytest.raises(ValueError, match="`max_points`"):
        point_cloud(depth, max_points=0)
    with pytest.raises(ValueError, match="`min_angle`"):
        point_cloud(depth, min_angle=90)


def colored():
    rng = np.random.default_rng(0)
    normals = np.tile(np.float32([0, 0, -1]), (3, 4, 1))
    return rng.uniform(1, 1.01, (3, 4)), 60, rng.integers(0, 256, (3, 4, 3), "uint8"), normals


def test_ply_has_what_it_says(tmp_path):
    cloud = point_cloud(*colored())
    write_ply(tmp_path / "room.ply", *cloud)
    header, data = (tmp_path / "room.ply").read_bytes().split(b"end_header\n", 1)
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert "element vertex 12" in lines
    properties = [tuple(line.split()[1:]) for line in lines if line.startswith("property")]
    kinds = {"float": "<f4", "uchar": "u1"}
    vertices = np.frombuffer(data, [(name, kinds[kind]) for kind, name in properties])
    for names, array in zip(("x y z", "red green blue", "nx ny nz"), cloud, strict=True):
        np.testing.assert_array_equal(np.stack([vertices[n] for n in names.split()], -1), array)
    write_ply(tmp_path / "empty.ply", np.zeros((0, 3)))
    assert b"element vertex 0\n" in (tmp_path / "empty.ply").read_bytes()
    with pytest.raises(WriteError):
        write_ply(tmp_path / "room.ply" / "inner.ply", *cloud)


@pytest.mark.parametrize(
    ("size", "orientation", "focal_length", "expected"),
    [
        ((36, 24), 1, 18, 90.0),  # of film: d / 2 = f
        ((24, 36), 6, 18, 90.0),  # stored as it lay
        ((24, 36), 1, 12, 90.0),
        ((40, 30), 1, 26, 2 * math.degrees(math.atan(0.4 * math.hypot(36, 24) / 26))),
        ((40, 30), 1, 0, None),  # not known
    ],
)
def test_field_of_view(tmp_path, size, orientation, focal_length, expected):
    pillow = pytest.importorskip("PIL.Image")
    picture = pillow.new("RGB", size)
    exif = picture.getexif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0xA405] = focal_length
    picture.save(tmp_path / "photo.jpg", exif=exif)
    found = field_of_view(tmp_path / "photo.jpg")
    assert found == (None if expected is None else pytest.approx(expected))
    with pillow.open(tmp_path / "photo.jpg") as opened:
        assert field_of_view(opened) == found


def test_no_field_of_view(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    pillow.new("RGB", (4, 3)).save(file, "PNG")
    (tmp_path / "photo.png").write_bytes(file.getvalue())
    (tmp_path / "damaged.jpg").write_bytes(b"damaged")
    assert field_of_view(tmp_path / "photo.png") is None
    assert field_of_view(tmp_path / "damaged.jpg") is None
