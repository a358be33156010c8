import itertools
import sys

import keras
import numpy as np
import pytest

from keras_atinet.data import Rooms, Source, pipeline
from keras_atinet.data.transforms import mirror, resize
from keras_atinet.tasks import SemanticSegmentation

tf = pytest.importorskip("tensorflow")


class Numbered(Source):
    """Sample i has the value i / 100 everywhere; every third has no depth, every fifth nothing."""

    split, image_size = "train", (4, 6)
    tasks = {"segmentation": {"num_classes": 50}, "depth": {}, "normal": {}}

    def __init__(self, length=10, broken=None):
        self.length, self.broken, self.reads = length, broken, 0

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.reads += 1
        if index == self.broken:
            raise ValueError(f"The file cannot be decoded. Received: 'pictures/{index}.jpg'.")
        image = np.full((4, 6, 3), index / 100, "float32")
        image[:, 0] = 1
        sample = {"image": image}
        if index % 5:
            sample["segmentation"] = np.full((4, 6), index, "int32")
            sample["normal"] = np.full((4, 6, 3), [0.6, 0, -0.8], "float32")
            if index % 3:
                sample["depth"] = np.full((4, 6, 1), index, "float32")
        return sample


def read(dataset):
    """Returns the sample numbers of an epoch in order, and which are mirrored."""
    images = np.concatenate([images for images, _ in dataset.as_numpy_iterator()])
    mirrored = images[:, 0, 0, 0] < 0.99
    return np.rint(images[:, 0, 3, 0] * 100).astype(int).tolist(), mirrored.tolist()


def test_batches_have_static_shapes():
    dataset = pipeline(Numbered(), batch_size=4)
    images, targets = dataset.element_spec
    assert images.shape == (None, 4, 6, 3) and images.dtype == tf.float32
    assert {name: tuple(spec.shape) for name, spec in targets.items()} == {
        "segmentation": (None, 4, 6),
        "depth": (None, 4, 6, 1),
        "normal": (None, 4, 6, 3),
    }
    assert targets["segmentation"].dtype == tf.int32
    assert int(dataset.cardinality()) == len(list(dataset)) == 3
    full = pipeline(Numbered(), batch_size=4, drop_remainder=True)
    assert full.element_spec[0].shape == (4, 4, 6, 3)
    assert int(full.cardinality()) == len(list(full)) == 2


def test_order_is_kept_and_absent_tasks_are_filled():
    images, targets = next(pipeline(Numbered(), batch_size=10).as_numpy_iterator())
    np.testing.assert_allclose(images[:, 0, 3, 0], np.arange(10) / 100)
    labels = [-1, 1, 2, 3, 4, -1, 6, 7, 8, 9]
    depth = [0, 1, 2, 0, 4, 0, 0, 7, 8, 0]
    np.testing.assert_array_equal(targets["segmentation"][:, 2, 2], labels)
    np.testing.assert_array_equal(targets["depth"][:, 2, 2, 0], depth)
    np.testing.assert_array_equal(targets["normal"][0], 0)
    np.testing.assert_allclose(targets["normal"][1, 0, 0], [0.6, 0, -0.8], atol=1e-6)


@pytest.mark.parametrize("cache", [False, True])
def test_same_seed_same_epochs(cache):
    options = dict(batch_size=4, shuffle=True, augment=True, cache=cache)
    first, second = (pipeline(Numbered(40), seed=3, **options) for _ in range(2))
    epochs = [read(first) for _ in range(3)]
    assert epochs == [read(second) for _ in range(3)]
    for (order, mirrored), (next_order, next_mirrored) in itertools.pairwise(epochs):
        assert sorted(order) == list(range(40))
        assert order != next_order and mirrored != next_mirrored
        assert 5 < sum(mirrored) < 35
    assert epochs[0] != read(pipeline(Numbered(40), seed=4, **options))


def test_augmentation_mirrors_whole_samples():
    rooms = Rooms(6, image_size=(32, 64))
    images, targets = next(pipeline(rooms, augment=True, batch_size=6).as_numpy_iterator())
    flips = 0
    for index, image in enumerate(images):
        sample = rooms[index]
        if not np.array_equal(image, sample["image"]):
            sample, flips = mirror(sample), flips + 1
        np.testing.assert_array_equal(image, sample["image"])
        for name, target in targets.items():
            np.testing.assert_array_equal(target[index], sample[name])
    assert 0 < flips < 6


def test_cache_reads_each_sample_once_and_keeps_its_values():
    source = Numbered()
    dataset = pipeline(source, cache=True, shuffle=True)
    for _ in range(3):
        read(dataset)
    assert source.reads == 10
    rooms = Rooms(4, image_size=(32, 64))
    cached = next(pipeline(rooms, cache=True).as_numpy_iterator())
    exact = next(pipeline(rooms).as_numpy_iterator())
    np.testing.assert_allclose(cached[0], exact[0], atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(cached[1]["normal"], exact[1]["normal"], atol=1e-3)
    for name in ("segmentation", "depth"):
        np.testing.assert_array_equal(cached[1][name], exact[1][name])


def test_resized_batches_equal_the_transform():
    rooms = Rooms(2, image_size=(48, 64))
    images, targets = next(pipeline(rooms, image_size=(30, 20)).as_numpy_iterator())
    expected = resize(rooms[1], (30, 20))
    np.testing.assert_allclose(images[1], expected["image"], atol=1e-6)
    np.testing.assert_array_equal(targets["depth"][1], expected["depth"])


def test_tasks_by_name_and_by_object():
    class Task:
        name = "depth"

    for tasks in ("depth", ["depth"], [Task()]):
        _, targets = next(pipeline(Numbered(), tasks=tasks).as_numpy_iterator())
        assert list(targets) == ["depth"]
    # A standard task that the source has not is missing everywhere.
    source = Numbered()
    source.tasks = {}
    _, targets = next(pipeline(source, tasks=["normal"]).as_numpy_iterator())
    assert list(targets) == ["normal"]
    parts = SemanticSegmentation(num_classes=7, name="parts")
    _, targets = next(pipeline(source, tasks=[parts]).as_numpy_iterator())
    np.testing.assert_array_equal(targets["parts"], np.full((8, 4, 6), -1))
    with pytest.raises(ValueError, match=r"7 in `tasks`, 13 in the source"):
        pipeline(Rooms(4), tasks=[SemanticSegmentation(num_classes=7)])
    with pytest.raises(ValueError, match="'edges'"):
        pipeline(Numbered(), tasks=["edges"])


def test_errors_of_the_source_reach_the_user():
    dataset = pipeline(Numbered(broken=7), batch_size=2)
    with pytest.raises(Exception, match=r"cannot be decoded.*pictures/7\.jpg"):
        read(dataset)
    model = keras.Sequential([keras.Input((4, 6, 3)), keras.layers.Conv2D(1, 1)])
    model.compile(loss="mse")
    with pytest.raises(Exception, match=r"cannot be decoded.*pictures/7\.jpg"):
        model.fit(dataset.map(lambda image, targets: (image, targets["depth"])), verbose=0)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="len"):
        pipeline(Numbered(0))
    source = Numbered()
    source.image_size = None
    with pytest.raises(ValueError, match="image_size=None"):
        pipeline(source)
    assert pipeline(source, image_size=(2, 2)).element_spec[0].shape == (None, 2, 2, 3)


def test_tensorflow_is_asked_for_kindly(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"keras-atinet\[tensorflow\]"):
        pipeline(Numbered())
