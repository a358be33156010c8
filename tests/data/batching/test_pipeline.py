import itertools
import pickle
import sys

import keras
import numpy as np
import pytest

from keras_atinet.data import Batches, Rooms, Source, pipeline, random_mirror
from keras_atinet.data.batching import sampler
from keras_atinet.data.transforms.mirror import mirror
from keras_atinet.data.transforms.resize import resize
from keras_atinet.tasks import SemanticSegmentation

try:
    import tensorflow as tf
except ImportError:
    tf = None
ADAPTERS = [
    pytest.param(pipeline, marks=pytest.mark.skipif(tf is None, reason="no TensorFlow"), id="tf"),
    pytest.param(Batches, id="PyDataset"),
]
both = pytest.mark.parametrize("make", ADAPTERS)
needs_tensorflow = ADAPTERS[0].marks[0]


class Numbered(Source):
    """Sample i has the value i / 100 everywhere; every third has no depth, every fifth nothing."""

    split, image_size = "train", (4, 6)
    tasks = {"segmentation": {"num_classes": 50}, "depth": {}, "normal": {}}

    def __init__(self, length=10, broken=()):
        self.length, self.broken, self.reads = length, broken, 0

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.reads += 1
        if index in self.broken:
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


def first(dataset):
    return next(dataset.as_numpy_iterator())


def assert_same(batches, others):
    for (images, targets), (other_images, other_targets) in zip(batches, others, strict=True):
        np.testing.assert_array_equal(images, other_images)
        assert list(targets) == list(other_targets)
        for key, target in targets.items():
            assert target.dtype == other_targets[key].dtype
            np.testing.assert_array_equal(target, other_targets[key])


@needs_tensorflow
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


@both
def test_order_is_kept_and_absent_tasks_are_filled(make):
    images, targets = first(make(Numbered(), batch_size=10))
    np.testing.assert_allclose(images[:, 0, 3, 0], np.arange(10) / 100)
    labels = [-1, 1, 2, 3, 4, -1, 6, 7, 8, 9]
    depth = [0, 1, 2, 0, 4, 0, 0, 7, 8, 0]
    np.testing.assert_array_equal(targets["segmentation"][:, 2, 2], labels)
    np.testing.assert_array_equal(targets["depth"][:, 2, 2, 0], depth)
    np.testing.assert_array_equal(targets["normal"][0], 0)
    np.testing.assert_allclose(targets["normal"][1, 0, 0], [0.6, 0, -0.8], atol=1e-6)
    sizes = [len(images) for images, _ in make(Numbered(), batch_size=4).as_numpy_iterator()]
    assert sizes == [4, 4, 2]
    full = make(Numbered(), batch_size=4, drop_remainder=True)
    assert [len(images) for images, _ in full.as_numpy_iterator()] == [4, 4]


@both
@pytest.mark.parametrize("cache", [False, True])
def test_same_seed_same_epochs(make, cache):
    options = dict(batch_size=4, shuffle=True, augment=random_mirror, cache=cache)
    one, two = (make(Numbered(40), seed=3, **options) for _ in range(2))
    epochs = [read(one) for _ in range(3)]
    assert epochs == [read(two) for _ in range(3)]
    for (order, mirrored), (next_order, next_mirrored) in itertools.pairwise(epochs):
        assert sorted(order) == list(range(40))
        assert order != next_order and mirrored != next_mirrored
        assert 5 < sum(mirrored) < 35
    assert epochs[0] != read(make(Numbered(40), seed=4, **options))
    # The same epochs for one that begins later, or is told to.
    assert read(make(Numbered(40), seed=3, first_epoch=2, **options)) == epochs[2]
    two.epochs.next = 1
    assert [read(two), read(two)] == epochs[1:]


@both
def test_a_pass_that_is_broken_off_begins_anew(make):
    options = dict(batch_size=4, shuffle=True, augment=random_mirror)
    expected = make(Numbered(40), **options)
    broken = make(Numbered(40), **options)
    for count in (1, 2, 9):
        assert len(list(itertools.islice(broken, count))) == count
        assert read(broken) == read(expected)
    # The last batch completes it.
    assert len(list(itertools.islice(broken, 10))) == 10
    assert broken.epochs.next == 4


def test_the_order_of_a_pass_is_drawn_once():
    sampler._permutation.cache_clear()
    batches = Batches(Numbered(40), batch_size=4, shuffle=True, workers=0)
    for passes in (1, 2):
        assert sorted(read(batches)[0]) == list(range(40))
        assert sampler._permutation.cache_info().misses == passes


@needs_tensorflow
def test_both_pipelines_give_the_same():
    rooms = Rooms(7, image_size=(32, 64))
    options = dict(batch_size=3, augment=True, shuffle=True, seed=5, image_size=(30, 60))
    dataset, batches = pipeline(rooms, **options), Batches(rooms, workers=2, **options)
    for _ in range(2):
        assert_same(dataset.as_numpy_iterator(), batches.as_numpy_iterator())


@pytest.mark.one_backend
def test_workers_of_all_kinds_give_the_same():
    rooms = Rooms(10, image_size=(8, 12))
    options = dict(batch_size=3, augment=random_mirror, shuffle=True)
    expected = Batches(rooms, workers=0, **options)
    processes = Batches(rooms, workers=1, use_multiprocessing=True, **options)
    copy = pickle.loads(pickle.dumps(processes))
    for _ in range(2):
        epoch = list(expected.as_numpy_iterator())
        assert_same(epoch, processes.as_numpy_iterator())
    copy.epochs.next = 1
    assert_same(epoch, [copy[number] for number in range(len(copy))])
    with pytest.raises(ValueError, match="use_multiprocessing=True"):
        Batches(rooms, cache=True, use_multiprocessing=True)
    with pytest.raises(IndexError, match="4 batches"):
        expected[4]


@both
def test_shards_share_nothing_and_have_as_many_batches(make):
    options = dict(batch_size=2, shuffle=True)
    shards = [make(Numbered(20), shard=(index, 3), **options) for index in range(3)]
    seen = []
    for _ in range(2):
        orders = [read(shard)[0] for shard in shards]
        assert [len(order) for order in orders] == [6, 6, 6]
        assert len({*itertools.chain(*orders)}) == 18
        seen.append(orders)
    assert seen[0] != seen[1]
    for shard in ((3, 3), (-1, 3)):
        with pytest.raises(ValueError, match="`shard`"):
            make(Numbered(), shard=shard)
    with pytest.raises(ValueError, match="every shard"):
        make(Numbered(2), shard=(0, 3))


@both
def test_unreadable_samples_are_skipped_and_counted(make):
    with pytest.warns(UserWarning) as caught:
        skipping = make(Numbered(8, broken=(2, 3, 7)), on_error="skip", batch_size=3, workers=1)
        assert read(skipping)[0] == [0, 1, 4, 4, 4, 5, 6, 0]
        assert read(skipping)[0] == [0, 1, 4, 4, 4, 5, 6, 0]
    messages = [str(warning.message) for warning in caught if "Unreadable" in str(warning.message)]
    assert [message.split(".")[0] for message in messages] == [
        f"Unreadable samples so far: {count}" for count in (1, 2, 3)
    ]
    assert [f"pictures/{index}.jpg" in messages[k] for k, index in enumerate((2, 3, 7))] == [1] * 3
    hopeless = make(Numbered(2, broken=(0, 1)), on_error="skip")
    with pytest.warns(UserWarning), pytest.raises(Exception, match="2 samples, none"):
        first(hopeless)
    with pytest.raises(ValueError, match="'ignore'"):
        make(Numbered(), on_error="ignore")


@both
def test_augmentation_mirrors_whole_samples(make):
    rooms = Rooms(6, image_size=(32, 64))
    images, targets = first(make(rooms, augment=[random_mirror], batch_size=6))
    flips = 0
    for index, image in enumerate(images):
        sample = rooms[index]
        if not np.array_equal(image, sample["image"]):
            sample, flips = mirror(sample), flips + 1
        np.testing.assert_array_equal(image, sample["image"])
        for name, target in targets.items():
            np.testing.assert_array_equal(target[index], sample[name])
    assert 0 < flips < 6


@both
def test_default_augmentation_gives_valid_samples(make):
    rooms = Rooms(8, image_size=(32, 64))
    images, targets = first(make(rooms, augment=True))
    plain, plain_targets = first(make(rooms))
    assert (np.abs(images - plain).max((1, 2, 3)) > 0.01).all()
    assert images.min() >= 0 and images.max() <= 1
    np.testing.assert_allclose(np.linalg.norm(targets["normal"], axis=-1), 1, atol=1e-5)
    assert np.isin(targets["segmentation"], plain_targets["segmentation"]).all()
    assert (targets["depth"].mean((1, 2, 3)) < 0.95 * plain_targets["depth"].mean((1, 2, 3))).any()


@both
def test_augmentation_by_the_user(make):
    def darken(sample, rng):
        return {**sample, "image": sample["image"] * rng.random(dtype="float32")}

    images, _ = first(make(Numbered(), augment=darken, seed=2))
    expected = [np.random.default_rng((2, 0, i)).random(dtype="float32") for i in range(8)]
    np.testing.assert_allclose(images[:, 0, 0, 0], expected, rtol=1e-6)
    wrong = make(Numbered(), augment=lambda sample, rng: {"image": sample["image"][1:]})
    with pytest.raises(Exception, match=r"'image'.*\(4, 6, 3\).*\(3, 6, 3\)"):
        first(wrong)


@both
def test_cache_reads_each_sample_once_and_keeps_its_values(make):
    source = Numbered()
    dataset = make(source, cache=True, shuffle=True)
    for _ in range(3):
        read(dataset)
    assert source.reads == 10
    rooms = Rooms(4, image_size=(32, 64))
    cached = first(make(rooms, cache=True))
    exact = first(make(rooms))
    np.testing.assert_allclose(cached[0], exact[0], atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(cached[1]["normal"], exact[1]["normal"], atol=2e-5)
    for name in ("segmentation", "depth"):
        np.testing.assert_array_equal(cached[1][name], exact[1][name])


@both
def test_resized_batches_equal_the_transform(make):
    rooms = Rooms(2, image_size=(48, 64))
    images, targets = first(make(rooms, image_size=(30, 20)))
    expected = resize(rooms[1], (30, 20))
    np.testing.assert_allclose(images[1], expected["image"], atol=1e-6)
    np.testing.assert_array_equal(targets["depth"][1], expected["depth"])


@both
def test_tasks_by_name_and_by_object(make):
    class Task:
        name = "depth"

    for tasks in ("depth", ["depth"], [Task()]):
        _, targets = first(make(Numbered(), tasks=tasks))
        assert list(targets) == ["depth"]
    # A standard task that the source has not is missing everywhere.
    source = Numbered()
    source.tasks = {}
    _, targets = first(make(source, tasks=["depth2", SemanticSegmentation(7, name="parts")]))
    np.testing.assert_array_equal(targets["depth2"], np.zeros((8, 4, 6, 1)))
    np.testing.assert_array_equal(targets["parts"], np.full((8, 4, 6), -1))
    with pytest.raises(ValueError, match="num_classes=7, for data of 13"):
        make(Rooms(4), tasks=[SemanticSegmentation(num_classes=7)])
    with pytest.raises(ValueError, match="'edges'"):
        make(Numbered(), tasks=["edges"])


@both
def test_sources_by_path(make):
    images, targets = first(make("rooms", "test", image_size=(24, 32), tasks=["depth"]))
    expected = resize(Rooms(split="test")[0], (24, 32))
    np.testing.assert_allclose(images[0], expected["image"], atol=1e-6)
    assert list(targets) == ["depth"]
    assert len(make(Numbered(), split="train")) == 2
    with pytest.raises(ValueError, match=r"split='test'.*'train'"):
        make(Numbered(), split="test")


@both
def test_errors_of_the_source_reach_the_user(make):
    dataset = make(Numbered(broken=(7,)), batch_size=2, tasks="depth")
    with pytest.raises(Exception, match=r"cannot be decoded.*pictures/7\.jpg"):
        read(dataset)
    layer = keras.layers.Conv2D(1, 1, name="depth")
    inputs = keras.Input((4, 6, 3))
    model = keras.Model(inputs, {"depth": layer(inputs)})
    model.compile(loss={"depth": "mse"})
    with pytest.raises(Exception, match=r"cannot be decoded.*pictures/7\.jpg"):
        model.fit(dataset, verbose=0, shuffle=False)


@both
def test_wrong_arguments_are_refused(make):
    with pytest.raises(ValueError, match="len"):
        make(Numbered(0))
    source = Numbered()
    source.image_size = None
    with pytest.raises(ValueError, match="image_size=None"):
        make(source)
    assert first(make(source, image_size=(2, 2)))[0].shape == (8, 2, 2, 3)


def test_tensorflow_is_asked_for_kindly(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"keras-atinet\[tensorflow\]"):
        pipeline(Numbered())
    assert first(Batches(Numbered()))[0].shape == (8, 4, 6, 3)
