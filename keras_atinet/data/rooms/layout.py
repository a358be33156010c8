"""Furnishes a room and puts a camera into it.

The room is `[0, width] x [0, depth] x [0, height]` with z up. Wall k has the inward direction
`(0, 1)` turned by k quarter turns; places on it are counted from its left end, seen from inside.
"""

import numpy as np

from keras_atinet.data.rooms import furniture

_TRIES = 12
_CAMERA_CLEARANCE = 0.35
_CANDIDATES = 24


def rotation(yaw):
    """Returns the 3 x 3 matrix of a turn by `yaw` radians about the vertical."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


class Room:
    """Boxes in a room.

    Attributes:
        size: `(width, depth, height)` in metres.
        boxes: list of `(center, half, yaw, box)`; the first is the room itself.
        footprints: list of `(x0, y0, x1, y1)`, the floor that is taken.
    """

    def __init__(self, rng):
        self.size = np.array([*rng.uniform(3.2, 5.8, 2), rng.uniform(2.35, 2.8)])
        shell = furniture.Finish(rng, "wall", "plain").box(0, 0, 0, 0, 0, 0)
        self.boxes = [(self.size / 2, self.size / 2, 0.0, shell)]
        self.footprints = []
        self._walls = [[], [], [], []]

    def put(self, piece, x, y, yaw, z=0.0):
        turn, origin = rotation(yaw), np.array([x, y, z])
        for box in piece.boxes:
            low, high = np.array(box.low), np.array(box.high)
            center = turn @ ((low + high) / 2) + origin
            self.boxes.append((center, (high - low) / 2, yaw, box))

    def is_free(self, x0, y0, x1, y1):
        if min(x0, y0) < 0 or x1 > self.size[0] or y1 > self.size[1]:
            return False
        return all(
            x1 <= a0 or a1 <= x0 or y1 <= b0 or b1 <= y0 for a0, b0, a1, b1 in self.footprints
        )

    def stand(self, rng, piece, x, y, yaw, clearance=0.05):
        """Puts a piece on the floor if there is room for it."""
        corners = np.array([[-1, 0], [1, 0], [-1, 1], [1, 1]]) * [piece.width / 2, piece.depth]
        corners = corners @ rotation(yaw)[:2, :2].T + [x, y]
        low, high = corners.min(axis=0), corners.max(axis=0)
        inside = np.clip(low - clearance, 0, None), np.minimum(high + clearance, self.size[:2])
        if (low < -1e-6).any() or (high > self.size[:2] + 1e-6).any():
            return False
        if not self.is_free(*inside[0], *inside[1]):
            return False
        self.footprints.append((*low, *high))
        self.put(piece, x, y, yaw)
        for top in piece.tops:
            self._clutter(rng, top, x, y, yaw)
        return True

    def _clutter(self, rng, top, x, y, yaw):
        x0, y0, x1, y1, z = top
        slots = np.arange(x0 + 0.2, x1 - 0.2, 0.4)
        for slot in slots[rng.random(len(slots)) < 0.55]:
            pile = rng.random() < 0.4
            piece = furniture.pile_of_books(rng) if pile else furniture.thing(rng)
            place = rng.uniform(y0 + 0.02, max(y1 - piece.depth - 0.02, y0 + 0.03))
            local = rotation(yaw) @ [slot, place, 0.0]
            self.put(piece, x + local[0], y + local[1], yaw, z)

    def wall_point(self, wall, along):
        width, depth = self.size[:2]
        points = (along, 0), (width, along), (width - along, depth), (0, depth - along)
        return points[wall]

    def lean(self, rng, piece):
        """Stands a piece with its back to some wall."""
        for _ in range(_TRIES):
            wall = rng.integers(4)
            length, side = self.size[wall % 2], piece.width / 2
            if length < piece.width:
                continue
            along = rng.uniform(side, length - side)
            if self.stand(rng, piece, *self.wall_point(wall, along), wall * np.pi / 2):
                self._walls[wall].append((along - side, 0.0, along + side, piece.height))
                return True
        return False

    def hang(self, rng, piece, height):
        """Puts a panel on some wall, with its middle at a height."""
        for _ in range(_TRIES):
            wall = rng.integers(4)
            side = piece.width / 2 + 0.08
            along = rng.uniform(side, self.size[wall % 2] - side)
            x0, x1 = along - side, along + side
            z0, z1 = height - piece.height / 2 - 0.05, height + piece.height / 2 + 0.05
            taken = self._walls[wall]
            if all(x1 < a0 or a1 < x0 or z1 < b0 or b1 < z0 for a0, b0, a1, b1 in taken):
                taken.append((x0, z0, x1, z1))
                self.put(piece, *self.wall_point(wall, along), wall * np.pi / 2, height)
                return True
        return False


def furnish(rng):
    """Returns a new `Room` with furniture, pictures and windows."""
    room = Room(rng)
    leaning = [
        (furniture.bed, 0.55),
        (furniture.sofa, 0.6),
        (furniture.bookcase, 0.75),
        (furniture.television, 0.65),
        (furniture.cupboard, 0.6),
        (lambda rng: furniture.cupboard(rng, low=True), 0.6),
        (furniture.bookcase, 0.3),
    ]
    for make, probability in leaning:
        if rng.random() < probability:
            room.lean(rng, make(rng))
    if rng.random() < 0.85:
        _dining_group(rng, room)
    for _ in range(rng.integers(2, 5)):
        thing = furniture.thing(rng, largest=rng.uniform(0.3, 0.6))
        room.stand(rng, thing, *rng.uniform(0.3, room.size[:2] - 0.3), rng.integers(4) * np.pi / 2)
    for _ in range(rng.integers(1, 4)):
        room.hang(rng, furniture.panel(rng, "window"), rng.uniform(1.4, 1.55))
    for _ in range(rng.integers(2, 6)):
        room.hang(rng, furniture.panel(rng, "picture"), rng.uniform(1.4, 1.7))
    return room


def _dining_group(rng, room):
    for _ in range(_TRIES):
        table, yaw = furniture.table(rng), rng.integers(4) * np.pi / 2
        x, y = rng.uniform(0.4, room.size[:2] - 0.4)
        if not room.stand(rng, table, x, y, yaw, clearance=0.1):
            continue
        design = rng.integers(2**32)
        for local_x in np.arange(-table.width / 2 + 0.35, table.width / 2 - 0.2, 0.6):
            for sign, edge in ((1, -0.65), (-1, table.depth + 0.65)):
                if rng.random() < 0.8:
                    # Chairs of one table look alike, face it and stand a little askew.
                    chair = furniture.chair(np.random.default_rng(design))
                    place = rotation(yaw) @ [local_x, edge, 0.0]
                    turn = yaw + (0 if sign > 0 else np.pi) + rng.uniform(-0.2, 0.2)
                    room.stand(rng, chair, x + place[0], y + place[1], turn, clearance=0.0)
        return


def place_camera(rng, room):
    """Returns the camera's position `(3,)` and its axes `(3, 3)`: columns right, down, forward."""
    places = rng.uniform(0.4, room.size[:2] - 0.4, (_CANDIDATES, 2))
    yaws = rng.uniform(-np.pi, np.pi, _CANDIDATES)
    footprints = np.array(room.footprints or [(-9.0, -9.0, -9.0, -9.0)])
    best = np.argmax(_view_scores(room, places, yaws, footprints))
    yaw, pitch = yaws[best], rng.uniform(-0.4, 0.06)
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    axes = np.stack([right, np.cross(forward, right), forward], axis=1)
    return np.array([*places[best], rng.uniform(1.15, 1.7)]), axes


def _view_scores(room, places, yaws, footprints):
    # Metres of free view, and pieces in view; places too near to a piece come last.
    forward = np.stack([np.cos(yaws), np.sin(yaws)], axis=1)
    ends = np.where(forward > 0, room.size[:2], 0.0)
    view = np.abs((ends - places) / forward).min(axis=1)
    to_piece = (footprints[:, :2] + footprints[:, 2:]) / 2 - places[:, None]
    distance = np.linalg.norm(to_piece, axis=-1)
    cosine = np.einsum("cpi,ci->cp", to_piece, forward) / distance
    seen = ((cosine > 0.9) & (distance > 1.0)).sum(axis=1)
    outside = np.maximum(footprints[:, :2] - places[:, None], places[:, None] - footprints[:, 2:])
    clearance = outside.max(axis=-1).min(axis=1)
    return np.where(clearance > _CAMERA_CLEARANCE, view + seen, clearance - 10.0)
