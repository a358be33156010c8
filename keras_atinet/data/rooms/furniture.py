"""Pieces of furniture as boxes, in their own coordinates.

x runs along the wall behind the piece and is 0 in its middle, y away from the wall, z up; metres.
"""

import colorsys
import itertools
from typing import NamedTuple

import numpy as np

from keras_atinet.tasks import NYU13_CLASSES

CLASSES = list(NYU13_CLASSES)
TEXTURES = ["plain", "wood", "tiles", "fabric", "stripes"]
TEXTURES += ["spines", "screen", "window", "picture", "doors"]

# class -> hue, saturation, value: (lowest, highest); hues wrap around at 1
_COLORS = {
    "bed": ((0.50, 0.68), (0.25, 0.60), (0.55, 0.95)),
    "books": ((0.00, 1.00), (0.40, 0.90), (0.35, 0.90)),
    "ceiling": ((0.08, 0.16), (0.00, 0.06), (0.90, 1.00)),
    "chair": ((0.97, 1.05), (0.55, 0.85), (0.40, 0.80)),
    "floor": ((0.06, 0.12), (0.20, 0.55), (0.35, 0.70)),
    "furniture": ((0.05, 0.10), (0.30, 0.60), (0.25, 0.55)),
    "objects": ((0.00, 1.00), (0.50, 0.95), (0.50, 0.95)),
    "picture": ((0.00, 1.00), (0.30, 0.80), (0.30, 0.90)),
    "sofa": ((0.75, 0.95), (0.20, 0.50), (0.30, 0.65)),
    "table": ((0.08, 0.13), (0.35, 0.65), (0.60, 0.90)),
    "tv": ((0.55, 0.70), (0.00, 0.30), (0.04, 0.12)),
    "wall": ((0.05, 0.60), (0.03, 0.20), (0.70, 0.95)),
    "window": ((0.50, 0.60), (0.15, 0.40), (0.90, 1.00)),
}


class Box(NamedTuple):
    """A box with its appearance; `low` and `high` are opposite corners `(x, y, z)`."""

    low: tuple
    high: tuple
    label: int
    texture: int
    color: tuple
    accent: tuple


class Piece(NamedTuple):
    """Boxes that stand together, and the surfaces `(x0, y0, x1, y1, z)` to put things on."""

    width: float
    depth: float
    height: float
    boxes: list
    tops: list = []


class Finish:
    """What the boxes of one piece have in common: class, colours with jitter, texture."""

    def __init__(self, rng, label, texture):
        hue, saturation, value = (rng.uniform(*limits) for limits in _COLORS[label])
        self.label, self.texture = CLASSES.index(label), TEXTURES.index(texture)
        self.color = colorsys.hsv_to_rgb(hue % 1, saturation, value)
        self.accent = colorsys.hsv_to_rgb((hue + 0.03) % 1, saturation, value * 0.7)

    def box(self, x0, x1, y0, y1, z0, z1):
        low, high = (x0, y0, z0), (x1, y1, z1)
        return Box(low, high, self.label, self.texture, self.color, self.accent)


def bed(rng):
    width, depth = rng.uniform(1.0, 1.8), 2.1
    side, frame = width / 2, Finish(rng, "bed", "wood")
    blanket = Finish(rng, "bed", rng.choice(["stripes", "fabric"]))
    pillow = Finish(rng, "bed", "fabric")
    pillow.color = pillow.accent = (0.9, 0.92, 0.95)
    boxes = [
        frame.box(-side, side, 0.06, depth, 0.0, 0.28),
        frame.box(-side, side, 0.0, 0.06, 0.0, rng.uniform(0.75, 1.05)),
        blanket.box(-side + 0.02, side - 0.02, 0.07, depth - 0.02, 0.28, 0.5),
    ]
    for middle in [0.0] if width < 1.3 else [-width / 4, width / 4]:
        boxes.append(pillow.box(middle - 0.3, middle + 0.3, 0.1, 0.5, 0.5, 0.62))
    return Piece(width, depth, 0.6, boxes)


def sofa(rng):
    width, depth, arm = rng.uniform(1.4, 2.2), 0.9, 0.2
    side, body = width / 2, Finish(rng, "sofa", "fabric")
    boxes = [
        body.box(-side + arm, side - arm, 0.0, depth - 0.03, 0.0, 0.3),
        body.box(-side + arm, side - arm, 0.0, 0.24, 0.3, rng.uniform(0.75, 0.9)),
        body.box(-side, arm - side, 0.0, depth, 0.0, 0.62),
        body.box(side - arm, side, 0.0, depth, 0.0, 0.62),
    ]
    cushion = Finish(rng, "sofa", "fabric") if rng.random() < 0.3 else body
    edges = np.linspace(arm - side, side - arm, 3 if width < 1.8 else 4)
    for x0, x1 in itertools.pairwise(edges):
        boxes.append(cushion.box(x0 + 0.01, x1 - 0.01, 0.24, depth, 0.3, 0.46))
    return Piece(width, depth, 0.9, boxes)


def _legs(finish, width, y0, y1, height, thickness):
    side = width / 2
    return [
        finish.box(x, x + thickness, y, y + thickness, 0.0, height)
        for x in (-side, side - thickness)
        for y in (y0, y1 - thickness)
    ]


def table(rng):
    width, depth, height = rng.uniform(0.9, 1.7), rng.uniform(0.6, 0.9), rng.uniform(0.7, 0.78)
    side, wood = width / 2, Finish(rng, "table", "wood")
    boxes = [wood.box(-side, side, 0.0, depth, height - 0.05, height)]
    boxes += _legs(wood, width - 0.06, 0.03, depth - 0.03, height - 0.05, 0.07)
    return Piece(width, depth, height, boxes, [(-side, 0.0, side, depth, height)])


def chair(rng):
    width, depth, seat = 0.46, 0.48, rng.uniform(0.43, 0.48)
    side, finish = width / 2, Finish(rng, "chair", rng.choice(["plain", "wood", "fabric"]))
    back = seat + rng.uniform(0.4, 0.52)
    boxes = [finish.box(-side, side, 0.0, depth, seat - 0.05, seat)]
    boxes += _legs(finish, width, 0.0, depth, seat - 0.05, 0.05)
    boxes += [
        finish.box(-side, 0.05 - side, 0.0, 0.05, seat, back),
        finish.box(side - 0.05, side, 0.0, 0.05, seat, back),
        finish.box(0.05 - side, side - 0.05, 0.0, 0.04, back - rng.uniform(0.15, 0.38), back),
    ]
    return Piece(width, depth, back, boxes)


def cupboard(rng, low=False):
    width, depth = rng.uniform(0.7, 1.6), rng.uniform(0.42, 0.6)
    height = rng.uniform(0.5, 0.95) if low else rng.uniform(1.5, 2.1)
    side, body = width / 2, Finish(rng, "furniture", "doors")
    boxes = [body.box(-side, side, 0.0, depth, 0.0, height)]
    return Piece(width, depth, height, boxes, [(-side, 0.0, side, depth, height)] if low else [])


def bookcase(rng):
    width, depth, height = rng.uniform(0.7, 1.3), 0.34, rng.uniform(1.1, 2.0)
    side, wood = width / 2, Finish(rng, "furniture", "wood")
    boxes = [
        wood.box(-side, side, 0.0, 0.03, 0.0, height),
        wood.box(-side, 0.03 - side, 0.03, depth, 0.0, height),
        wood.box(side - 0.03, side, 0.03, depth, 0.0, height),
    ]
    num_shelves = int(height / 0.36)
    for z in np.linspace(0.05, height - 0.03, num_shelves + 1):
        boxes.append(wood.box(0.03 - side, side - 0.03, 0.03, depth - 0.01, z, z + 0.03))
        if z < height - 0.1:
            boxes += row_of_books(rng, 0.04 - side, side - 0.04, 0.04, z + 0.03)
    return Piece(width, depth, height, boxes)


def row_of_books(rng, x0, x1, y, z):
    boxes = []
    while x0 < x1 - 0.12:
        length = min(rng.uniform(0.15, 0.4), x1 - x0)
        if rng.random() < 0.85:
            books = Finish(rng, "books", "spines")
            depth, height = rng.uniform(0.16, 0.24), rng.uniform(0.19, 0.27)
            boxes.append(books.box(x0, x0 + length, y, y + depth, z, z + height))
        x0 += length + 0.005
    return boxes


def television(rng):
    stand = cupboard(rng, low=True)
    width, height = min(rng.uniform(0.8, 1.2), stand.width), min(stand.height, 0.6)
    stand.boxes[0] = stand.boxes[0]._replace(high=(stand.width / 2, stand.depth, height))
    side, screen = width / 2, Finish(rng, "tv", "screen")
    foot, middle = Finish(rng, "tv", "plain"), stand.depth / 2
    boxes = [
        *stand.boxes,
        foot.box(-0.2, 0.2, middle - 0.1, middle + 0.1, height, height + 0.02),
        foot.box(-0.05, 0.05, middle - 0.03, middle, height + 0.02, height + 0.12),
        screen.box(-side, side, middle, middle + 0.05, height + 0.06, height + 0.06 + width * 0.58),
    ]
    return Piece(stand.width, stand.depth, height + 0.06 + width * 0.58, boxes)


def thing(rng, largest=0.3):
    """A lamp, a pot with a plant, or a box."""
    width, depth = rng.uniform(0.4, 1.0, 2) * largest
    height = rng.uniform(0.5, 1.2) * largest
    side, body = width / 2, Finish(rng, "objects", rng.choice(["plain", "stripes"]))
    boxes = [body.box(-side, side, 0.0, depth, 0.0, height)]
    if rng.random() < 0.4:
        top = Finish(rng, "objects", "fabric")
        thin, middle = width * 0.15, depth / 2
        boxes = [
            body.box(-side * 0.6, side * 0.6, depth * 0.2, depth * 0.8, 0.0, height * 0.25),
            body.box(-thin, thin, middle - thin, middle + thin, height * 0.25, height),
            top.box(-side, side, 0.0, depth, height, height * 1.6),
        ]
    return Piece(width, depth, boxes[-1].high[2], boxes)


def pile_of_books(rng):
    boxes, z = [], 0.0
    for _ in range(rng.integers(2, 6)):
        width, thickness = rng.uniform(0.2, 0.3), rng.uniform(0.025, 0.05)
        book = Finish(rng, "books", "plain")
        boxes.append(book.box(-width / 2, width / 2, 0.0, width * 0.75, z, z + thickness))
        z += thickness
    return Piece(0.3, 0.23, z, boxes)


def panel(rng, label):
    """A picture or a window on the wall, around its middle."""
    if label == "window":
        width, height = rng.uniform(0.9, 1.8), rng.uniform(0.9, 1.3)
    else:
        width, height = rng.uniform(0.35, 1.0), rng.uniform(0.35, 0.8)
    finish = Finish(rng, label, label)
    box = finish.box(-width / 2, width / 2, 0.0, 0.03, -height / 2, height / 2)
    return Piece(width, 0.03, height, [box])
