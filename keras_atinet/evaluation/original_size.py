"""Batches for scores at the size of the labels."""

import numpy as np

from keras_atinet.data import fill_missing, resize
from keras_atinet.data.batching.parallel import default_workers, in_order
from keras_atinet.data.batching.samples import get_original_samples
from keras_atinet.data.transforms.resize import resample

_MULTIPLE = 64
_SHORTEST = 1e-6


class OriginalSize:
    """Batches of one sample: the image at the network's size, targets as the source has them.

    `evaluate` and `evaluate_function` resize the predictions to the targets, each to its own, so
    that the samples of a source may differ in size: bilinearly, logits before their argmax, normals
    to unit length again.

    Args:
        source: `keras_atinet.data.Source`.
        tasks: list of `Task`.
        image_size: `(height, width)` in pixels, what the network takes.

    Raises:
        ValueError: if the data have other classes or channels than a task; while they are read, if
            a label is none of the classes.

    Example:

    ```python
    batches = OriginalSize(Folder("camvid", "test"), model.tasks, image_size=(96, 128))
    results = evaluate(model, batches)
    ```
    """

    def __init__(self, source, tasks, image_size):
        self.image_size = tuple(image_size)
        self._samples = get_original_samples(source, tasks)

    def __len__(self):
        return len(self._samples)

    def __iter__(self):
        return in_order(self._batch, range(len(self)), default_workers())

    def _batch(self, index):
        sample = fill_missing(self._samples[index], self._samples.tasks)
        image = resize({"image": sample.pop("image")}, self.image_size)["image"]
        return image[None], {name: target[None] for name, target in sample.items()}

    def align(self, predictions, targets):
        """Predictions at the size of the targets.

        Args:
            predictions, targets: dicts of arrays by task, a batch of one.

        Returns:
            Predictions, targets and weights of pixels, three such dicts. Each array has a border
            of weight 0, up to a multiple of 64: JAX and TensorFlow compile for every size anew.
        """
        fitted, padded, weights = {}, {}, {}
        for name, prediction in predictions.items():
            target = targets[name][0]
            height, width = target.shape[:2]
            value = resample(np.asarray(prediction[0], "float32"), (height, width))
            if self._samples.tasks[name]["kind"] == "normal":
                length = np.linalg.norm(value, axis=-1, keepdims=True)
                value = value / np.maximum(length, _SHORTEST)
            inside = np.ones((height, width), "float32")
            padded[name], fitted[name], weights[name] = map(_pad, (target, value, inside))
        return fitted, padded, weights


def _pad(array):
    after = [(0, -size % _MULTIPLE) for size in array.shape[:2]]
    return np.pad(array, [*after, *[(0, 0)] * (array.ndim - 2)])[None]
