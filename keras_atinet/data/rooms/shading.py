"""Procedural textures and light for the rooms."""

import numpy as np

from keras_atinet.data.rooms.furniture import CLASSES, TEXTURES


def _hash(*coordinates):
    # Integers -> repeatable noise in [0, 1).
    mixed = np.zeros(np.broadcast(*coordinates).shape, np.uint32)
    for factor, values in zip((0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D), coordinates, strict=False):
        mixed ^= np.asarray(values).astype(np.int64).astype(np.uint32) * np.uint32(factor)
        mixed = (mixed ^ (mixed >> 15)) * np.uint32(0x2C1B3C6D)
    return ((mixed ^ (mixed >> 13)) >> 8).astype(np.float32) / np.float32(2**24)


def _noise(u, v, seed):
    # Value noise: random numbers at integer places, smoothly between.
    column, row = np.floor(u), np.floor(v)
    s, t = u - column, v - row
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    top = _hash(column, row, seed) * (1 - s) + _hash(column + 1, row, seed) * s
    bottom = _hash(column, row + 1, seed) * (1 - s) + _hash(column + 1, row + 1, seed) * s
    return top * (1 - t) + bottom * t


def _mix(first, second, share):
    return first + (second - first) * np.asarray(share, np.float32)[:, None]


def _plain(f):
    return f.color * (0.93 + 0.14 * _noise(f.u * 3, f.v * 3, f.seed))[:, None]


def _wood(f):
    plank = np.floor(f.v / 0.14)
    grain = _noise(f.u * 2.5 + plank * 7, f.v * 45, f.seed)
    shade = 0.85 + 0.3 * _hash(plank, f.seed, f.seed)
    return _mix(f.color, f.accent, 0.7 * grain) * shade[:, None]


def _tiles(f):
    column, row = np.floor(f.u / 0.35), np.floor(f.v / 0.35)
    tiles = _mix(f.color, f.accent, (column + row) % 2)
    grout = (f.u / 0.35 - column < 0.05) | (f.v / 0.35 - row < 0.05)
    return tiles * np.where(grout, 0.75, 0.95 + 0.1 * _hash(column, row, f.seed))[:, None]


def _fabric(f):
    weave = _noise(f.u * 60, f.v * 60, f.seed)
    folds = _noise(f.u * 5, f.v * 5, f.seed + 1)
    return f.color * (0.8 + 0.2 * weave + 0.2 * folds)[:, None]


def _stripes(f):
    return (
        _mix(f.color, f.accent, np.floor(f.u / 0.09) % 2)
        * (0.95 + 0.1 * _noise(f.u * 20, f.v * 20, f.seed))[:, None]
    )


def _spines(f):
    spine = np.floor(f.u / 0.032)
    tone = np.stack([_hash(spine, f.seed, np.full_like(spine, c)) for c in range(3)], axis=1)
    band = np.abs(f.v / f.half_v - 0.5) < 0.12
    color = _mix(f.color, 0.15 + 0.8 * tone, np.full(len(spine), 0.75))
    return np.where(band[:, None], 0.5 * color + 0.4, color)


def _inside(f, border):
    return (np.abs(f.u) < f.half_u - border) & (np.abs(f.v) < f.half_v - border)


def _screen(f):
    sheen = np.clip(0.5 + 0.5 * np.sin(3 * (f.u + f.v) + f.seed), 0, 1) ** 4
    glass = f.color + 0.18 * sheen[:, None]
    return np.where(_inside(f, 0.03)[:, None], glass, 0.03)


def _window(f):
    height = np.clip(0.5 + 0.5 * f.v / f.half_v + 0.1 * _noise(f.u * 4, 0 * f.v, f.seed), 0, 1)
    sky = _mix(np.float32([1.0, 1.0, 1.0]) + 0 * f.color, f.color, height)
    land = np.float32([0.35, 0.5, 0.28]) * (0.7 + 0.6 * _noise(f.u * 9, f.v * 9, f.seed))[:, None]
    glass = np.where((height < 0.35)[:, None], land, sky)
    open_area = _inside(f, 0.06) & (np.abs(f.u) > 0.03) & (np.abs(f.v) > 0.02)
    return np.where(open_area[:, None], glass, np.float32(0.93))


def _picture(f):
    shapes = [_noise(f.u * 5 + 9 * c, f.v * 5, f.seed + c) for c in range(3)]
    art = np.clip(1.6 * np.stack(shapes, axis=1) - 0.3, 0, 1) * (0.4 + f.color)
    mat = np.where(_inside(f, 0.09)[:, None], art, np.float32(0.92))
    return np.where(_inside(f, 0.035)[:, None], mat, 0.4 * f.accent)


def _doors(f):
    num_doors = np.maximum(np.round(f.half_u / 0.25), 1)
    across = (f.u / f.half_u + 1) / 2 * num_doors
    gap = np.abs(across - np.round(across)) * 2 * f.half_u / num_doors < 0.012
    gap |= np.abs(np.abs(f.v) - f.half_v) < 0.02
    knob = (np.abs(across % 1 - 0.85) < 0.05) & (np.abs(f.v) < 0.05)
    shade = np.where(gap, 0.45, 1.0) + np.where(knob, 0.8, 0.0)
    return _wood(f) * shade[:, None]


_TEXTURES = dict(
    zip(
        TEXTURES,
        (_plain, _wood, _tiles, _fabric, _stripes, _spines, _screen, _window, _picture, _doors),
        strict=True,
    )
)


class _Fragments:
    """Pixels of one texture: place on the face, half extents of the face, colours."""

    def __init__(self, arrays, index):
        for name, values in arrays.items():
            setattr(self, name, values[index])


def albedo(texture, **arrays):
    """Returns the colour `(n, 3)` of `n` points, by the texture's index and face coordinates."""
    color = np.empty((len(texture), 3), np.float32)
    for number, name in enumerate(TEXTURES):
        index = np.flatnonzero(texture == number)
        if index.size:
            color[index] = _TEXTURES[name](_Fragments(arrays, index))
    return color


def light(rng, room, points, normals, label):
    """Returns the brightness `(n,)` of points `(n, 3)` with normals `(n, 3)` in the room."""
    sun = rng.normal([0.0, 0.0, 1.2])
    sun /= np.linalg.norm(sun)
    lamp = room.size * [*rng.uniform(0.3, 0.7, 2), 0.92]
    to_lamp = lamp.astype(np.float32) - points
    distance = np.sqrt(np.einsum("nc,nc->n", to_lamp, to_lamp)) + 1e-3
    lamp_angle = np.maximum(np.einsum("nc,nc->n", normals, to_lamp) / distance, 0)
    brightness = rng.uniform(0.42, 0.55) + 0.28 * np.maximum(normals @ sun.astype(np.float32), 0)
    brightness += rng.uniform(0.3, 0.6) * lamp_angle / (1 + (distance / 3) ** 2)
    # Corners and the floor around furniture get less light.
    gap = np.minimum(points, room.size.astype(np.float32) - points)
    gap = np.sort(np.maximum(gap, 0), axis=1)[:, 1]
    brightness *= 1 - 0.3 * np.exp(-gap / 0.25)
    floor = np.flatnonzero(label == CLASSES.index("floor"))
    brightness[floor] *= 1 - 0.45 * np.exp(-_floor_gap(room, points[floor]) / 0.12)
    return np.where(label == CLASSES.index("window"), np.maximum(brightness, 0.95), brightness)


def _floor_gap(room, points):
    nearest = np.full(len(points), 10.0, np.float32)
    for x0, y0, x1, y1 in room.footprints:
        dx = np.maximum(np.maximum(x0 - points[:, 0], points[:, 0] - x1), 0)
        dy = np.maximum(np.maximum(y0 - points[:, 1], points[:, 1] - y1), 0)
        nearest = np.minimum(nearest, np.hypot(dx, dy))
    return nearest
