"""A cloud of points from depth, and the file format `.ply`."""

import contextlib
import math
from typing import NamedTuple

import numpy as np

from keras_atinet import files
from keras_atinet.data.sources.pictures import SIDEWAYS
from keras_atinet.data.sources.pillow import pillow
from keras_atinet.prediction.reading import read_bytes

DEFAULT_FOV = 60.0  # degrees; NYUv2's camera has 57
_MAX_POINTS = 500_000
_MIN_ANGLE = 8.0  # degrees; a floor 1.5 m below the camera is kept up to 10.7 m
_EXIF, _FOCAL_LENGTH_35MM, _ORIENTATION = 0x8769, 0xA405, 0x0112  # tags
_DIAGONAL_35MM = math.hypot(36, 24)  # millimetres
# From the camera's axes (x right, y down, z forward), those of images and normals, to a viewer's.
_TO_VIEWER = np.float32([1, -1, -1])


class PointCloud(NamedTuple):
    """Points in metres, seen from the origin: x right, y up, z towards the camera, as in OpenGL.

    Attributes:
        points: float32 `(n, 3)`.
        colors: uint8 `(n, 3)`, or None.
        normals: float32 `(n, 3)`, unit vectors, or None.
    """

    points: np.ndarray
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None


def point_cloud(
    depth, fov=DEFAULT_FOV, image=None, normals=None, max_points=_MAX_POINTS, min_angle=_MIN_ANGLE
):
    """The points that a pinhole camera sees.

    `X = (u - W / 2) Z / f`, `Y = (v - H / 2) Z / f`, `f = W / (2 tan(fov / 2))`, for the pixel
    whose centre is at `(u, v)`, half a pixel from its corner; square pixels, and the optical axis
    through the centre of the picture. The axes are then turned to those of viewers, which look
    along -z: x right, y up, z towards the camera.

    Between what is near and what is far behind it, a predicted depth rises along a slope that is
    not there. Its points are left out, as those of all surfaces that are seen at a flatter angle
    than `min_angle`: `tan(angle) = Z / (f |grad Z|)`.

    Args:
        depth: array `(height, width, 1)` or `(height, width)`, metres along the optical axis.
            Pixels at which it is not finite or not above 0 are left out.
        fov: float in (0, 180), degrees, the horizontal field of view; see `field_of_view`.
        image: optional, what a `Predictor` takes, of the same size, for the colours.
        normals: optional array `(height, width, 3)`, x right, y down, z forward.
        max_points: int, at most as many; every n-th pixel of every n-th row makes a point.
        min_angle: float in [0, 90), degrees, at which a surface is seen; 0 leaves out nothing.

    Returns:
        `PointCloud`.

    Raises:
        ValueError: if `fov`, `max_points` or `min_angle` is out of its range, or sizes differ.

    Example:

    ```python
    maps = keras_atinet.Predictor()("room.jpg")
    cloud = point_cloud(maps["depth"], image="room.jpg", normals=maps["normal"])
    write_ply("room.ply", *cloud)
    ```
    """
    check_fov(fov)
    if max_points < 1:
        raise ValueError(f"`max_points` must be 1 or more. Received: {max_points}.")
    if not 0 <= min_angle < 90:
        raise ValueError(f"`min_angle` must be in [0, 90) degrees. Received: {min_angle}.")
    depth = np.asarray(depth)
    depth = depth[..., 0] if depth.ndim == 3 else depth
    image = None if image is None else read_bytes(image)
    for name, array in {"image": image, "normals": normals}.items():
        if array is not None and array.shape[:2] != depth.shape:
            raise ValueError(
                f"`{name}` must have the size of `depth`, {depth.shape}. "
                f"Received: {array.shape[:2]}. Resize one of them."
            )
    height, width = depth.shape
    focal_length = width / (2 * math.tan(math.radians(fov) / 2))
    step = _step(height, width, max_points)
    rows, columns = (np.arange(min(step, size) // 2, size, step) for size in (height, width))
    thin = np.ix_(rows, columns)
    z = depth[thin].astype("float32")
    x = ((columns + 0.5 - width / 2) / focal_length).astype("float32")
    y = ((rows + 0.5 - height / 2) / focal_length).astype("float32")[:, None]
    shown = np.isfinite(z) & (z > 0)
    z = np.where(shown, z, np.nan)
    # Not those with a neighbour of unknown depth: their slope is not known, and no number.
    slope = focal_length / step * _change(z)
    shown &= ~(slope * math.tan(math.radians(min_angle)) > z)
    points = (np.stack([x * z, y * z, z], axis=-1) * _TO_VIEWER)[shown]
    colors = None if image is None else image[thin][shown]
    normals = None if normals is None else (np.asarray(normals)[thin][shown] * _TO_VIEWER)
    return PointCloud(points, colors, normals)


def field_of_view(image):
    """The horizontal field of view of a photograph, by the focal length in its EXIF data.

    `2 atan(d / (2 f))`, where `f` is the focal length of a camera for 35 mm film whose picture has
    the same diagonal of view, and `d` the width of such a picture in the photograph's proportions.

    Args:
        image: path of a picture file or `PIL.Image.Image`. Of a photograph that was cropped the
            result is too wide.

    Returns:
        float, degrees; None where the picture does not say.
    """
    # EXIF data that are damaged, by exceptions of many kinds, say nothing.
    with contextlib.suppress(Exception), _opened(image) as picture:
        exif = picture.getexif()
        focal_length = float(exif.get_ifd(_EXIF)[_FOCAL_LENGTH_35MM])
        width, height = picture.size
        # Pillow turns TIFF, and only TIFF, by itself.
        if exif.get(_ORIENTATION) in SIDEWAYS and picture.format != "TIFF":
            width, height = height, width
        width_35mm = _DIAGONAL_35MM * width / math.hypot(width, height)
        if 0 < focal_length < math.inf:
            return 2 * math.degrees(math.atan(width_35mm / (2 * focal_length)))
    return None


def check_fov(fov):
    """Raises a `ValueError` unless a field of view is between 0 and 180 degrees."""
    if not 0 < fov < 180:
        raise ValueError(
            "The horizontal field of view must be above 0 and below 180 degrees. "
            f"Received: {fov}. A telephone's camera has about 65, a webcam 60."
        )


def write_ply(path, points, colors=None, normals=None):
    """Writes a cloud of points as binary `.ply`, which MeshLab, Blender and Open3D open.

    Args:
        path: str or path.
        points: array `(n, 3)`, metres.
        colors: optional uint8 array `(n, 3)`.
        normals: optional array `(n, 3)`.

    Raises:
        files.WriteError: if the system refuses to write it.

    Example:

    ```python
    write_ply("room.ply", *point_cloud(maps["depth"], image="room.jpg"))
    ```
    """
    columns = {("x", "y", "z"): points, ("nx", "ny", "nz"): normals}
    columns[("red", "green", "blue")] = colors
    columns = {names: array for names, array in columns.items() if array is not None}
    kinds = [
        (name, "u1" if array is colors else "<f4")
        for names, array in columns.items()
        for name in names
    ]
    vertices = np.empty(len(points), kinds)
    for names, array in columns.items():
        for name, column in zip(names, array.T, strict=True):
            vertices[name] = column
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment metres; x right, y up, z towards the camera",
        f"element vertex {len(points)}",
        *(f"property {'uchar' if kind == 'u1' else 'float'} {name}" for name, kind in kinds),
        "end_header\n",
    ]
    with files.replacing(path, vertices.nbytes) as new, open(new, "wb") as file:
        file.write("\n".join(header).encode("ascii"))
        file.write(vertices.tobytes())


def _step(height, width, max_points):
    step = max(1, math.isqrt(height * width // max_points))
    while math.ceil(height / step) * math.ceil(width / step) > max_points:
        step += 1
    return step


def _change(z):
    """`|grad z|`, by pixel."""
    changes = [
        np.gradient(z, axis=axis) if z.shape[axis] > 1 else np.zeros_like(z) for axis in (0, 1)
    ]
    return np.hypot(*changes)


def _opened(image):
    return contextlib.nullcontext(image) if hasattr(image, "getexif") else pillow().open(image)
