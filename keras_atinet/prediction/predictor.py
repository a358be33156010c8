"""Predictions for pictures of any kind and size."""

import os
from typing import NamedTuple

import keras
import numpy as np

from keras_atinet.data.transforms.resize import resample
from keras_atinet.models import MultiTaskModel
from keras_atinet.prediction.maps import full_size_map
from keras_atinet.prediction.networks import Networks
from keras_atinet.prediction.reading import read_picture
from keras_atinet.runs import find_model, load_model
from keras_atinet.settings import DEFAULT_PRESET

_CHANNELS = 3


class Prepared(NamedTuple):
    """A picture for the network.

    Attributes:
        image: `(height, width, 3)` float32 in [0, 1], at a size for the network.
        size: `(H, W)`, the picture's own.
    """

    image: np.ndarray
    size: tuple


class Predictor:
    """Predicts pictures of any kind and size, and returns maps at their own size.

    The network runs at about as many pixels as it was trained for, in the proportions of each
    picture; one that is bound to a size runs at that. What it predicts is resized bilinearly to the
    picture's size, logits before their argmax.

    Args:
        model: `MultiTaskModel`; or what stands for one: a run folder, a `.keras` file, a preset's
            name, folder or hub handle. Defaults to the preset that comes with the package.
        batch_size: int, how many pictures of the same network size are predicted at once.

    Call arguments:
        image: path of a picture, `PIL.Image.Image`, or array `(H, W, 3)`, uint8 or floats in
            [0, 1]. Paths and Pillow's pictures are turned upright as their EXIF orientation says.

    Returns:
        dict, task name -> map at the picture's size: `"segmentation"` int32 `(H, W)`, the numbers
        of classes; `"depth"` float32 `(H, W, 1)`, metres, at least 0; `"normal"` float32
        `(H, W, 3)`, unit vectors (x right, y down, z forward); of other tasks what they decode.

    Raises:
        ValueError: if the model takes no colour images; if an image cannot be read, or an array
            has another shape, dtype or range; if the network predicts NaN or infinity.
        FileNotFoundError: if there is no such model or picture.

    Example:

    ```python
    predictor = keras_atinet.Predictor("runs/first")
    maps = predictor("room.jpg")
    maps["depth"].shape  # (height, width, 1) of the picture
    for maps in predictor.predict(["room.jpg", "hall.jpg"]):
        print(maps["depth"].mean(), "m")
    ```
    """

    def __init__(self, model=None, batch_size=8):
        if not isinstance(model, MultiTaskModel):
            place = DEFAULT_PRESET if model is None else os.fspath(model)
            model = load_model(find_model(place)[0], compile=False)
        if model.input_shape[-1] != _CHANNELS:
            raise ValueError(
                "`Predictor` needs a network for colour images, of 3 channels. "
                f"Received: one of {model.input_shape[-1]}. Call `model.predict` instead."
            )
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be 1 or more. Received: {batch_size}.")
        self.model = model
        self.batch_size = batch_size
        self._networks = Networks(model)

    @property
    def tasks(self):
        """List of `Task`, in the order of the maps."""
        return self.model.tasks

    def __call__(self, image):
        return next(self.predict([image]))

    def predict(self, images):
        """Predicts several pictures, in batches; yields the maps of each, in order.

        Args:
            images: iterable of what a call takes. At most one batch is read ahead.

        Yields:
            dict of maps, as a call returns.
        """
        for size, outputs in self.run(map(self.prepare, images)):
            yield self.maps(outputs, size)

    def prepare(self, image):
        """Reads a picture and brings it to a size for the network; may be called in threads.

        Args:
            image: as for a call.

        Returns:
            `Prepared`.
        """
        pixels = read_picture(image)
        size = self._networks.size_for(*pixels.shape[:2])
        # Resized before it becomes floats: those of a photograph of 50 megapixels fill 600 MB.
        white = np.float32(255 if pixels.dtype == np.uint8 else 1)
        image = np.clip(resample(pixels, size) / white, 0, 1)
        return Prepared(image, pixels.shape[:2])

    def run(self, pictures):
        """Runs the network.

        Args:
            pictures: iterable of `Prepared`. Neighbours of the same network size are batched.

        Yields:
            the picture's own size `(H, W)`, and a dict of arrays `(height, width, channels)`, the
            network's outputs, for `maps`.
        """
        batch = []
        for picture in pictures:
            if batch and picture.image.shape != batch[0].image.shape:
                yield from self._run_batch(batch)
                batch = []
            batch.append(picture)
            if len(batch) == self.batch_size:
                yield from self._run_batch(batch)
                batch = []
        if batch:
            yield from self._run_batch(batch)

    def maps(self, outputs, size):
        """Decoded maps at the size of the picture; may be called in threads.

        Args:
            outputs: dict of arrays, as from `run`.
            size: `(H, W)` in pixels.

        Returns:
            dict of maps, as a call returns.
        """
        return {task.name: full_size_map(outputs[task.name], task, size) for task in self.tasks}

    def _run_batch(self, batch):
        network = self._networks.at(batch[0].image.shape[:2])
        images = np.stack([picture.image for picture in batch])
        # JAX would compile a program for each number of images.
        is_single = keras.backend.backend() == "jax" and len(batch) < self.batch_size
        parts = np.split(images, len(images)) if is_single else [images]
        outputs = [network.predict_on_batch(part) for part in parts]
        outputs = {
            task.name: np.concatenate([part[task.name] for part in outputs]) for task in self.tasks
        }
        for name, output in outputs.items():
            # Of NaN, `argmax` makes a class.
            if not np.isfinite(output).all():
                raise ValueError(
                    "A network must predict finite numbers. Received: NaN or infinity of "
                    f"'{name}'. Take another model, or load it in float32."
                )
        for index, picture in enumerate(batch):
            yield picture.size, {name: output[index] for name, output in outputs.items()}
