import keras
import numpy as np
import pytest

import keras_atinet

NAMES = ("segmentation", "depth", "normal")


class Samples(keras.utils.PyDataset):
    """Five images in batches of two; those that have no label of a task are named in `without`."""

    def __init__(self, **without):
        super().__init__()
        random = np.random.default_rng(0)
        self.images = random.random((5, 4, 6, 3), dtype="float32")
        self.targets = {
            "segmentation": random.integers(-1, 3, (5, 4, 6)).astype("int32"),
            "depth": random.uniform(-1, 5, (5, 4, 6, 1)).astype("float32"),
            "normal": random.normal(size=(5, 4, 6, 3)).astype("float32"),
        }
        for name, samples in without.items():
            self.targets[name][samples] = -1 if name == "segmentation" else 0

    @property
    def num_batches(self):
        return 3

    def __getitem__(self, index):
        part = slice(2 * index, 2 * index + 2)
        return self.images[part], {name: value[part] for name, value in self.targets.items()}


@pytest.fixture
def samples():
    """`samples(**without)`, see `Samples`."""
    return Samples


@pytest.fixture
def make_model():
    """`make_model(averaging="pixel")`: a network for three tasks, not compiled."""

    def make_model(averaging="pixel"):
        keras.utils.set_random_seed(0)
        image = keras.Input((4, 6, 3))
        regularizer = keras.regularizers.L2(0.1)
        conv = keras.layers.Conv2D(4, 3, padding="same", kernel_regularizer=regularizer)
        x = conv(image)
        outputs = {
            name: keras.layers.Conv2D(channels, 1, name=name)(x)
            for name, channels in zip(NAMES, (3, 1, 3), strict=True)
        }
        tasks = [
            keras_atinet.SemanticSegmentation(3, averaging=averaging),
            keras_atinet.DepthEstimation(averaging=averaging),
            keras_atinet.SurfaceNormals(averaging=averaging),
        ]
        return keras_atinet.MultiTaskModel(image, outputs, tasks, {})

    return make_model
