"""Synthetic rooms."""

import zlib

import numpy as np

from keras_atinet.data.nyuv2.classes import NYU13_TASKS
from keras_atinet.data.rooms import layout, shading
from keras_atinet.data.rooms.furniture import CLASSES, TEXTURES, Finish
from keras_atinet.data.rooms.view import View
from keras_atinet.data.source import Source


class Rooms(Source):
    """Synthetic rooms with furniture: images with exact classes, depth and normals, no download.

    The 13 classes are those of NYUv2, in the same order. Sample `index` of a split is always the
    same room; no two splits share one. Every pixel has every label. Pixel `(row, column)` looks
    along `((column - cx) / f, (row - cy) / f, 1)` with `f = focal_length` and `(cx, cy)` the
    middle of the picture; depth is measured along z.

    Args:
        num_samples: int, number of rooms.
        image_size: `(height, width)` in pixels.
        split: str, any name.
        seed: int, another seed makes other rooms.

    Raises:
        ValueError: if `num_samples` or a side of the image is not positive.

    Example:

    ```python
    train, test = Rooms(1000), Rooms(100, split="test")
    train[0]["image"].shape  # (96, 128, 3)
    ```
    """

    tasks = {key: dict(facts) for key, facts in NYU13_TASKS.items()}

    def __init__(self, num_samples=256, image_size=(96, 128), split="train", seed=0):
        if num_samples < 1 or min(image_size) < 1:
            raise ValueError(
                "`Rooms` needs a positive number of samples and of pixels. "
                f"Received: num_samples={num_samples}, image_size={image_size}."
            )
        self.num_samples = num_samples
        self.image_size = tuple(image_size)
        self.split = split
        self.seed = seed

    @property
    def focal_length(self):
        """Focal length in pixels, for a field of view of 57 degrees, that of NYUv2."""
        return 0.927 * self.image_size[1]

    def __len__(self):
        return self.num_samples

    def __getitem__(self, index):
        entropy = (self.seed, zlib.crc32(self.split.encode()), self._position(index))
        rng = np.random.default_rng(entropy)
        room = layout.furnish(rng)
        view = View(room, *layout.place_camera(rng, room), self._directions())
        image = _draw(rng, room, view, self.image_size)
        return {
            "image": image,
            "segmentation": view.label.reshape(self.image_size),
            "depth": view.depth.reshape(*self.image_size, 1),
            "normal": view.normal.reshape(*self.image_size, 3),
        }

    def _directions(self):
        # x per column and y per row of the rays (x, y, 1)
        height, width = self.image_size
        x = (np.arange(width) - (width - 1) / 2) / self.focal_length
        y = (np.arange(height) - (height - 1) / 2) / self.focal_length
        return x.astype(np.float32), y.astype(np.float32)


def _draw(rng, room, view, image_size):
    color = np.array([box.color for box in view.boxes], np.float32)[view.box]
    accent = np.array([box.accent for box in view.boxes], np.float32)[view.box]
    texture = np.array([box.texture for box in view.boxes])[view.box]
    for name, choices in (("floor", ("wood", "tiles", "fabric")), ("ceiling", ("plain",))):
        finish, where = Finish(rng, name, rng.choice(choices)), view.label == CLASSES.index(name)
        color[where], accent[where], texture[where] = finish.color, finish.accent, finish.texture
    if rng.random() < 0.25:
        walls = view.label == CLASSES.index("wall")
        texture[walls], accent[walls] = TEXTURES.index("stripes"), 0.93 * color[walls]
    # Face coordinates: along the face and up, or the two horizontal ones.
    pixels = np.arange(view.axis.size)
    u_axis, v_axis = np.array([1, 0, 0])[view.axis], np.array([2, 2, 1])[view.axis]
    shade = shading.albedo(
        texture,
        u=view.local[pixels, u_axis],
        v=view.local[pixels, v_axis],
        half_u=view.half[pixels, u_axis],
        half_v=view.half[pixels, v_axis],
        color=color,
        accent=accent,
        seed=view.box + rng.integers(1000),
    )
    camera = view.camera.T.astype(np.float32)
    points = view.points @ camera + view.position.astype(np.float32)
    brightness = shading.light(rng, room, points, view.normal @ camera, view.label)
    return _photograph(rng, (shade * brightness[:, None]).reshape(*image_size, 3))


def _photograph(rng, image):
    # A little blur, white balance and sensor noise.
    for axis in (0, 1):
        pad = [(1, 1) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(image, pad, mode="edge")
        size = image.shape[axis]
        first, last = (padded.take(range(s, s + size), axis=axis) for s in (0, 2))
        image = 0.7 * image + 0.15 * (first + last)
    image = image * rng.uniform([0.95, 0.97, 0.9], [1.08, 1.03, 1.06]) * rng.uniform(0.9, 1.1)
    image += rng.normal(0, 0.012, image.shape)
    return np.clip(image, 0, 1).astype(np.float32)
