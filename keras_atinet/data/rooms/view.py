"""Casts the rays of a camera into a room of boxes."""

import numpy as np

from keras_atinet.data.rooms.furniture import CLASSES
from keras_atinet.data.rooms.layout import rotation

_NEAR = 0.05


class View:
    """What each of the `n` pixels of a camera in a room sees.

    A ray `o + t d` meets a slab `|x_i| <= h_i` of a box at `t = (-h_i - o_i) / d_i` and
    `t = (h_i - o_i) / d_i`; it enters the box at the largest of the three nearer values. As `d`
    has z = 1 in camera coordinates, `t` is the depth.

    Args:
        room: `Room`.
        position: `(3,)` array, the camera's place in the room.
        camera: `(3, 3)` array, columns right, down, forward.
        directions: pair of arrays, x per column and y per row of the rays `(x, y, 1)`.

    Attributes:
        depth: `(n,)` float32 metres along the optical axis.
        box: `(n,)` index of the box; 0 is the room.
        axis: `(n,)` the box axis that the face is at right angles to.
        points: `(n, 3)` float32 in camera coordinates.
        normal: `(n, 3)` float32 in camera coordinates, towards the camera.
        local: `(n, 3)` float32, the points in coordinates of their box.
        half: `(n, 3)` float32, half the extent of the box.
        label: `(n,)` int32 class.
    """

    def __init__(self, room, position, camera, directions):
        centers, halves, yaws, self.boxes = zip(*room.boxes, strict=True)
        self.camera, self.position = camera, position
        turns = np.stack([rotation(yaw).T for yaw in yaws])
        axes = (turns @ camera).astype(np.float32)  # (boxes, 3, 3): rows are box axes
        origins = np.einsum("bij,bj->bi", turns, position - np.stack(centers)).astype(np.float32)
        halves = np.stack(halves).astype(np.float32)
        depth, box, axis = _cast(axes, origins, halves, *directions)
        self.depth, self.box, self.axis = depth.ravel(), box.ravel(), axis.ravel()
        x, y = np.meshgrid(*directions)
        rays = np.stack([x.ravel(), y.ravel(), np.ones(x.size, np.float32)], axis=1)
        self.points = rays * self.depth[:, None]
        normal = axes[self.box, self.axis]
        facing = np.sign(np.einsum("nc,nc->n", normal, rays))
        self.normal = -normal * facing[:, None]
        self.local = np.einsum("nij,nj->ni", axes[self.box], self.points) + origins[self.box]
        self.half = halves[self.box]
        labels = np.array([box.label for box in self.boxes], np.int32)
        self.label = labels[self.box]
        horizontal = (self.box == 0) & (self.axis == 2)
        self.label[horizontal & (facing < 0)] = CLASSES.index("floor")
        self.label[horizontal & (facing > 0)] = CLASSES.index("ceiling")


def _cast(axes, origins, halves, x, y):
    # The first box is the room, seen from inside: rays hit the nearest of its far planes.
    near, far = _slabs(axes[0], origins[0], halves[0], x, y)
    depth, axis = far.min(axis=0), far.argmin(axis=0)
    box = np.zeros(depth.shape, np.int32)
    for number, (rows, columns) in enumerate(_windows(axes, origins, halves, x, y)):
        if number == 0 or rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        window = rows, columns
        near, far = _slabs(axes[number], origins[number], halves[number], x[columns], y[rows])
        enter, leave = near.max(axis=0), far.min(axis=0)
        hit = (enter < leave) & (enter > _NEAR) & (enter < depth[window])
        if hit.any():
            depth[window][hit] = enter[hit]
            axis[window][hit] = near.argmax(axis=0)[hit]
            box[window][hit] = number
    return depth, box, axis


def _slabs(axes, origin, half, x, y):
    # Distances (3, rows, columns) at which rays enter and leave the three slabs of a box.
    with np.errstate(divide="ignore", invalid="ignore"):
        ray = axes[:, 0, None, None] * x + axes[:, 1, None, None] * y[:, None]
        inverse = 1 / (ray + axes[:, 2, None, None])
        first = (-half - origin)[:, None, None] * inverse
        second = (half - origin)[:, None, None] * inverse
    return np.minimum(first, second), np.maximum(first, second)


def _windows(axes, origins, halves, x, y):
    # The part of the picture that each box can cover, from its eight corners.
    signs = np.stack(np.meshgrid(*[(-1, 1)] * 3), axis=-1).reshape(8, 3)
    local = signs * halves[:, None] - origins[:, None]
    corners = np.einsum("bki,bij->bkj", local, axes)
    z = corners[..., 2]
    around = np.where((z < _NEAR).any(axis=1), np.inf, 0.0)
    behind = (z < _NEAR).all(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = corners[..., :2] / np.maximum(z, _NEAR)[..., None]
    low, high = places.min(axis=1) - around[:, None], places.max(axis=1) + around[:, None]
    starts = np.searchsorted(x, low[:, 0]), np.searchsorted(y, low[:, 1])
    stops = np.searchsorted(x, high[:, 0], "right"), np.searchsorted(y, high[:, 1], "right")
    stops = np.where(behind, 0, stops)
    return [
        (slice(top, bottom), slice(left, right))
        for left, top, right, bottom in zip(*starts, *stops, strict=True)
    ]
