"""What `fit` warns of, having looked at its first batch, and which data it refuses."""

import warnings

import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet.data import Batches, Rooms, Source, pipeline
from keras_atinet.training import FirstBatch

TASKS = ("segmentation", "depth", "normal")
THRESHOLDS = [
    # of 5 classes; -1, 255 and `ignore_class` are meant to be ignored
    ("segmentation", [[-1, 0, 4], [255, 9, 1]], None),
    ("segmentation", [[-1, 0, 4], [5, 5, 77]], "50 % .* none of the 5 classes and ignored: 5, 77."),
    ("segmentation", [[-2.0, 0.0, np.nan]], "33.3 % .* ignored: -2. Classes are 0 to 4"),
    ("segmentation", [[-1, 255, 9]], "every pixel is ignored"),
    ("segmentation", [[0, *range(100, 120)]], "100, 101, .*, 109, ...\\. Classes"),
    ("depth", [[[100.0], [0.0], [np.nan]]], None),
    ("depth", [[[101.0], [0.0], [np.inf]]], "the median depth is 101 m, more than 100 m"),
    ("depth", [[[0.0], [-1.0], [np.nan]]], "every pixel is ignored"),
    ("normal", [[[0.6, 0.0, -0.8], [0.0, 0.0, 0.0]]], None),
    ("normal", [[[0.8, 0.5, 0.1], [0.0, 0.0, 0.0]]], "no component is below 0"),
    ("normal", [[[0.0, 0.1, 0.0], [0.0, 0.0, 0.0]]], "every pixel is ignored"),
    ("image", [[[0.0], [2.0], [-0.5]]], None),
    ("image", [[[0.0], [2.1]]], r"they lie in \[0, 2.1\]"),
    ("image", [[[-0.6], [1.0]]], r"they lie in \[-0.6, 1\]"),
    ("image", [[[np.nan]]], "they hold NaN or infinity, but must lie in"),
    ("image", [[[0.0], [np.inf]]], "they hold NaN or infinity"),
    ("image", np.ones((1, 2, 1), "uint8"), "they are uint8, but must be floats in"),
]


@pytest.mark.one_backend
def test_a_mask_of_0_and_255():
    def find(labels, **options):
        return keras_atinet.SemanticSegmentation(**options).find_problems(np.array([[labels]]))

    (problem,) = find([0, 255], num_classes=2)
    assert "0 and 255 only" in problem and "map it to 1" in problem
    assert not find([0, 255], num_classes=2, ignore_class=255)
    assert not find([0, 255], num_classes=3) and not find([0, 1, 255], num_classes=2)


@pytest.mark.parametrize("key, value, expected", THRESHOLDS)
def test_thresholds(key, value, expected):
    value = np.asarray(value)[None]
    tasks = {
        "segmentation": keras_atinet.SemanticSegmentation(5, ignore_class=9),
        "depth": keras_atinet.DepthEstimation(),
        "normal": keras_atinet.SurfaceNormals(),
    }
    image = value if key == "image" else np.zeros((*value.shape[:3], 3), "float32")
    tasks = [tasks[key]] if key in tasks else []
    batch = image, {key: value}
    if expected is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            FirstBatch(tasks).look(batch)
    else:
        with pytest.warns(UserWarning, match=expected) as caught:
            FirstBatch(tasks).look(batch)
        assert len(caught) == 1 and str(caught[0].message).count("\n- ") == 1


class Dataset(keras.utils.PyDataset):
    """Four batches of one sample; keeps a record of what is asked of it."""

    def __init__(self, images, targets):
        super().__init__()
        self.arrays, self.asked = (images, targets), []

    def __len__(self):
        return 4

    def __getitem__(self, index):
        self.asked.append(index)
        return keras.tree.map_structure(lambda array: array[index : index + 1], self.arrays)

    def on_epoch_end(self):
        self.asked.append("end")


def in_form(form, images, targets):
    """Four batches of one sample, in one of the forms that `fit` takes."""
    dataset = Dataset(images, targets)
    if form == "arrays":
        return {"x": images, "y": targets, "batch_size": 1, "shuffle": False}
    if form == "PyDataset":
        return {"x": dataset, "shuffle": False}
    if form == "generator":
        return {"x": (dataset[index] for index in range(4))}
    if form == "DataLoader":
        import torch.utils.data

        return {"x": torch.utils.data.DataLoader(list(dataset), batch_size=None)}
    import tensorflow as tf

    return {"x": tf.data.Dataset.from_tensor_slices((images, targets)).batch(1)}


FORMS = ["arrays", "PyDataset", "generator", "DataLoader", "tf.data"]


@pytest.mark.filterwarnings("ignore:.shuffle=True. was passed", "ignore:.*structure of .inputs.")
def test_one_warning_and_the_same_training_for_data_of_every_form(make, batch, values):
    images, targets = batch
    targets["segmentation"][0, 0, 0] = 7
    targets["depth"] *= 1000
    model = make(tasks=TASKS, metrics={}, optimizer=keras.optimizers.SGD(1e-2))
    initial = values(model.variables)
    trained = []
    for form in FORMS:
        for variable, value in zip(model.variables, initial, strict=True):
            variable.assign(value)
        model.reset_metrics()
        with pytest.warns(UserWarning, match="segmentation: .*\n.*depth: the median") as caught:
            data = in_form(form, images, targets)
            logs = model.fit(**data, epochs=1, verbose=0).history
        found = [one for one in caught if "The first batch" in str(one.message)]
        assert len(found) == 1, form
        if form == "arrays":
            assert found[0].filename == __file__  # where the user called `fit`
        trained.append(logs["loss"][0])
        if form == "PyDataset":
            # Nothing is read twice, but for what Keras takes to build a model.
            assert data["x"].asked[-5:] == [0, 1, 2, 3, "end"]
    np.testing.assert_allclose(trained, trained[0], rtol=1e-4)


@pytest.mark.one_backend
def test_batches_of_processes_are_looked_at_here(batch):
    dataset = Dataset(batch[0] * 255, batch[1])
    dataset.workers, dataset.use_multiprocessing = 1, True
    with pytest.warns(UserWarning, match="Divide 8-bit"):
        assert FirstBatch([]).watch(dataset) is dataset
    assert dataset.asked == [0]


@pytest.mark.one_backend
def test_a_loader_keeps_its_kind_and_its_random_numbers(batch):
    import torch.utils.data

    class Loader(torch.utils.data.DataLoader):
        pass

    images = batch[0]
    loaders = [Loader(list(images), batch_size=2, shuffle=True) for _ in range(2)]
    watched = FirstBatch([]).watch(loaders[1])
    assert isinstance(watched, Loader) and type(loaders[1]) is Loader and len(watched) == 2
    for loader in (loaders[0], watched):
        torch.manual_seed(3)
        loader.seen = [np.array(one) for _ in range(2) for one in loader]
    np.testing.assert_array_equal(loaders[0].seen, watched.seen)


class Labels(Source):
    """Samples of labels only, which are those that it is given."""

    split, image_size = "train", (32, 64)

    def __init__(self, labels, **facts):
        self.labels = labels
        self.tasks = {"segmentation": {"kind": "segmentation", **facts}}

    def __len__(self):
        return 2

    def __getitem__(self, index):
        labels = np.zeros(self.image_size, "int32")
        labels[0, : len(self.labels)] = self.labels
        return {"image": np.zeros((*self.image_size, 3), "float32"), "segmentation": labels}

    def where(self, index):
        return f"'{index}.png'"


@pytest.mark.one_backend
@pytest.mark.parametrize("make_batches", [Batches, pipeline])
def test_stray_labels_in_our_data_are_an_error(make_batches):
    def first(labels, tasks=None, **facts):
        return next(make_batches(Labels(labels, **facts), tasks=tasks).as_numpy_iterator())

    task = keras_atinet.SemanticSegmentation(5, ignore_class=9)
    np.testing.assert_array_equal(
        first([4, -1, 255, 9], [task], num_classes=5)[1]["segmentation"][0, 0, :4],
        [4, -1, 255, 9],
    )
    first([4, -1, 255, 9], num_classes=5, ignore_class=9)
    for labels, tasks, facts in [
        ([4, 9], None, {"num_classes": 5}),
        ([9, -2], [task], {"num_classes": 5}),
        ([9, 5], [task], {}),
        ([255, 256, 300], None, {"num_classes": 300}),
    ]:
        with pytest.raises(Exception, match=rf"Received: {labels[-1]} in '0.png'"):
            first(labels, tasks, **facts)


@pytest.mark.one_backend
@pytest.mark.parametrize("make_batches", [Batches, pipeline])
def test_other_classes_than_those_of_the_data_are_refused(make, make_batches):
    rooms = Rooms(2, image_size=(32, 64))  # 13 classes
    for count in (5, 14):
        task = keras_atinet.SemanticSegmentation(count)
        with pytest.raises(ValueError, match=f"num_classes={count}, for data of 13"):
            make_batches(rooms, tasks=[task])
        model = make(tasks=[task, keras_atinet.DepthEstimation()])
        wrong = make_batches(rooms)
        with pytest.raises(ValueError, match=f"num_classes={count}, for data of 13"):
            model.fit(wrong)
        with pytest.raises(ValueError, match=f"num_classes={count}, for data of 13"):
            model.fit(np.zeros((1, 32, 64, 3)), {}, validation_data=wrong)
        with pytest.raises(ValueError, match=f"num_classes={count}, for data of 13"):
            model.evaluate(wrong)
    # A number that was only counted is a least one.
    counted = {"num_classes": 4, "counted_classes": True}
    task.check_facts(counted)
    with pytest.raises(ValueError, match="num_classes=3, for data of 4"):
        keras_atinet.SemanticSegmentation(3).check_facts(counted)
    with pytest.raises(ValueError, match="1, for data of 2"):
        keras_atinet.DepthEstimation().check_facts({"channels": 2})


def test_sample_weights_of_unknown_tasks_are_refused(make, batch):
    images, targets = batch
    targets.pop("normal")
    model = make(metrics={})
    weights = {"segmentation": np.ones((4, 32, 64)), "dept": np.ones((4, 32, 64))}
    import tensorflow as tf

    sliced = tf.data.Dataset.from_tensor_slices((images, targets, weights)).batch(4)
    for data in (
        {"x": sliced, "shuffle": False},
        {"x": (batch for batch in [(images, targets, weights)] * 2), "shuffle": False},
        {"x": images, "y": targets, "sample_weight": weights},
        {"x": images, "y": targets, "validation_data": (images, targets, weights)},
    ):
        with pytest.raises(ValueError, match=r"'dept', which is none .* Did you mean 'depth'"):
            model.fit(**data, verbose=0)
    with pytest.raises(ValueError, match=r"'dept', which is none .* Did you mean 'depth'"):
        model.evaluate(images, targets, sample_weight=weights, verbose=0)


def test_sample_weights_of_some_tasks(make, batch):
    images, targets = batch
    model = make(metrics={})
    half = {"depth": np.array([1.0, 0.0, 0.0, 1.0])}
    logs = model.evaluate(images, targets, sample_weight=half, verbose=0, return_dict=True)
    every = model.evaluate(images, targets, verbose=0, return_dict=True)
    alone = [images[::3], {name: target[::3] for name, target in targets.items()}]
    two = model.evaluate(*alone, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["segmentation_loss"], every["segmentation_loss"], rtol=1e-5)
    np.testing.assert_allclose(logs["depth_loss"], two["depth_loss"], rtol=1e-5)
