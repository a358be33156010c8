import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_atinet import DepthEstimation, SemanticSegmentation, SurfaceNormals, Task
from keras_atinet.tasks import NYU13_CLASSES, standardize_tasks

TASKS = [SemanticSegmentation(), DepthEstimation(), SurfaceNormals()]


class Edges(Task):
    def __init__(self, **kwargs):
        super().__init__("edge", 1, **kwargs)


def prepare(task, y_true):
    target, mask = task.prepare(ops.convert_to_tensor(y_true))
    assert keras.backend.standardize_dtype(mask.dtype) == "bool"
    return ops.convert_to_numpy(target), ops.convert_to_numpy(mask)


@pytest.mark.parametrize(
    "tasks, expected",
    [
        ("depth", [("depth", 1)]),
        (("segmentation", "depth"), [("segmentation", 13), ("depth", 1)]),
        (["normal", "depth"], [("normal", 3), ("depth", 1)]),
        ({"normal": 3, "segmentation": 40}, [("normal", 3), ("segmentation", 40)]),
        (SemanticSegmentation(7, name="parts"), [("parts", 7)]),
        (["depth", DepthEstimation(name="disparity")], [("depth", 1), ("disparity", 1)]),
        ([Edges()], [("edge", 1)]),
    ],
)
def test_get_tasks(tasks, expected):
    assert [(task.name, task.channels) for task in standardize_tasks(tasks)] == expected


def test_get_tasks_keeps_task_objects():
    task = DepthEstimation()
    assert standardize_tasks(task)[0] is task and standardize_tasks([task])[0] is task


@pytest.mark.parametrize(
    "tasks, message",
    [
        ((), "at least one task"),
        ({}, "at least one task"),
        ("pose", "Unknown task.*'pose'.*'depth', 'normal', 'segmentation'"),
        (["depth", 3], "Unknown task.*Received: 3"),
        ({"pose": 3}, "Unknown task.*'pose'"),
        (["depth", "depth"], "each name once.*'depth', 'depth'.*own `name`"),
        (["depth", DepthEstimation()], "each name once"),
        ({"depth": 2}, "'depth' has 1 channels.*Received.*2"),
        ({"normal": 1}, "'normal' has 3 channels"),
        ({"segmentation": 0}, "positive number of channels. Received: 0"),
        ({"segmentation": "13"}, "positive number of channels. Received: '13'"),
        ({"segmentation": 1}, "at least two classes. Received: num_classes=1. .* num_classes=2,"),
    ],
)
def test_get_tasks_refuses(tasks, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        standardize_tasks(tasks)


@pytest.mark.parametrize("colors", [5, [(0, 0)] * 2, [(0, 0, 256)] * 2, [(0, 0, "x")] * 2])
def test_colors_are_checked(colors):
    with pytest.raises(ValueError, match="RGB triples"):
        SemanticSegmentation(2, class_colors=colors)


@pytest.mark.parametrize("arguments", [{"class_names": ["a", "b"]}, {"class_colors": [(0, 0, 0)]}])
def test_names_and_colors_are_one_per_class(arguments):
    with pytest.raises(ValueError, match=rf"`{next(iter(arguments))}`.*5 classes. Received"):
        SemanticSegmentation(5, **arguments)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1], "must have one entry for each of the 5 classes. Received: 2 entries"),
        ([1, 1, 1, 1, -1], r"Received: \[1.0, 1.0, 1.0, 1.0, -1.0\]"),
        ([1, 1, 1, 1, float("nan")], "finite"),
        ([0] * 5, "not all 0"),
        ({4: 1.0, 3: 1.0, 2: 1.0, 1: 1.0, 0: 9.0}, r"a sequence .* Received: \{4: 1.0"),
        ("balanced", "Received: 'balanced'.*class_weights.source"),
    ],
)
def test_class_weights_are_checked(weights, message):
    with pytest.raises(ValueError, match=rf"`class_weights` of task 'parts'.*{message}"):
        SemanticSegmentation(5, name="parts", class_weights=weights)


def test_with_more_than_255_classes_255_is_one():
    labels = np.array([[[0, 255, 299], [-1, 300, 254]]])
    task = SemanticSegmentation(300)
    target, mask = prepare(task, labels)
    np.testing.assert_array_equal(mask, [[[True] * 3, [False, False, True]]])
    np.testing.assert_array_equal(target[mask], [0, 255, 299, 254])
    assert task.ignored_labels == (-1,) and task.colorize(labels[0])[0, 1].any()
    assert SemanticSegmentation(300, ignore_class=255).ignored_labels == (-1, 255)
    assert SemanticSegmentation(255, ignore_class=0).ignored_labels == (-1, 0, 255)


def test_what_a_new_task_must_define():
    task = Edges()
    for call in (
        lambda: task.prepare(0),
        task.loss,
        lambda: task.constant(0),
        lambda: task.colorize(0),
    ):
        with pytest.raises(TypeError, match=r"`Edges` must define `\w+\("):
            call()
    assert task.metrics() == [] and task.decode(1) == task.activation(1) == 1
    assert task.target_shape(2, 3) == (2, 3, 1)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
@pytest.mark.parametrize("ignore_class", [None, 5, 255])
def test_prepare_segmentation(dtype, ignore_class):
    labels = np.array([[[0, 12, 5], [13, 255, 255 if dtype == "uint8" else -1]]], dtype)
    target, mask = prepare(SemanticSegmentation(13, ignore_class=ignore_class), labels)
    np.testing.assert_array_equal(mask, [[[True, True, ignore_class != 5], [False] * 3]])
    np.testing.assert_array_equal(target, np.where(mask, labels, 0))
    assert target.dtype == np.int32


def test_prepare_depth():
    depth = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0, 2.5], "float32").reshape(1, 2, 3, 1)
    target, mask = prepare(DepthEstimation(), depth)
    np.testing.assert_array_equal(mask, [[[False] * 3, [False, False, True]]])
    assert np.isfinite(target).all() and target[0, 1, 2, 0] == 2.5


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_prepare_normals(dtype):
    normals = [
        [0, 0, 0],
        [np.nan, 0, -1],
        [0, 0, -0.4],
        [np.inf, 0, 0],
        [0, 0.75, -1],
        [0, 0, -0.6],
    ]
    target, mask = prepare(SurfaceNormals(), np.array(normals, dtype).reshape(1, 2, 3, 3))
    np.testing.assert_array_equal(mask, [[[False] * 3, [False, True, True]]])
    assert np.isfinite(target).all()
    np.testing.assert_allclose(target[mask], [[0, 0.6, -0.8], [0, 0, -1]], atol=1e-3)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_missing_values_are_void(task):
    shape = task.target_shape(2, 3)
    void = np.full((1, *shape), task.missing_value, task.target_dtype)
    target, mask = prepare(task, void)
    assert not mask.any() and np.isfinite(target).all()
    picture = task.colorize(void[0])
    assert picture.shape == (2, 3, 3) and picture.dtype == np.uint8 and not picture.any()


@pytest.mark.parametrize("averaging", ["pixel", "batch"])
def test_losses_and_metrics_are_new_objects(averaging):
    for make in (SemanticSegmentation, DepthEstimation, SurfaceNormals):
        task = make(averaging=averaging)
        assert isinstance(task.loss(), keras.losses.Loss) and task.loss() is not task.loss()
        first, second = task.metrics(), task.metrics()
        assert not {id(metric) for metric in first} & {id(metric) for metric in second}
        assert {metric.averaging for metric in first} == {averaging}
        assert len({metric.name for metric in first}) == len(first)


def test_activation_and_decode():
    x = np.random.RandomState(0).standard_normal((1, 2, 3, 3)).astype("float32")
    normals = ops.convert_to_numpy(SurfaceNormals().activation(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-6)
    for task in (SemanticSegmentation(3), DepthEstimation()):
        assert task.activation(x) is x
    classes = SemanticSegmentation(3).decode(x)
    assert classes.dtype == np.int32
    np.testing.assert_array_equal(classes, x.argmax(axis=-1))
    np.testing.assert_array_equal(DepthEstimation().decode(x), np.where(x > 0, x, 0))
    np.testing.assert_allclose(SurfaceNormals().decode(x), normals, atol=1e-6)
    assert (SurfaceNormals().decode(0 * x) == [0, 0, -1]).all()


def test_constant_segmentation_has_the_least_cross_entropy():
    labels = np.array([2, 2, 0, 2, 1, 0])
    logits = SemanticSegmentation(4).constant(labels)
    assert logits.shape == (4,) and np.isfinite(logits).all() and logits.argmax() == 2

    def cross_entropy(logits):
        return np.log(np.exp(logits).sum()) - logits[labels].mean()

    frequencies = np.log([2 / 6, 1 / 6, 3 / 6, 1e-9])
    assert cross_entropy(logits) == pytest.approx(cross_entropy(frequencies), abs=0.1)
    np.testing.assert_allclose(logits[:3], frequencies[:3], atol=1e-6)


def test_constant_depth_and_normals():
    assert DepthEstimation().constant(np.array([[1.0], [2.0], [9.0]])) == [2.0]
    normals = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(
        SurfaceNormals().constant(normals), np.array([0, 1, -1]) / np.sqrt(2), atol=1e-6
    )
    # Opposite normals have no mean direction, and no division by zero.
    assert not SurfaceNormals().constant(np.array([[0.0, 0, 1], [0, 0, -1]])).any()


def test_colorize_segmentation():
    task = SemanticSegmentation(ignore_class=4)
    picture = task.colorize(np.array([[0, 12, 4], [-1, 13, 255]]))
    colors = list(NYU13_CLASSES.values())
    np.testing.assert_array_equal(picture, [[colors[0], colors[12], [0] * 3], [[0] * 3] * 3])
    # A palette of one's own, and one made up: distinct, and none like missing pixels.
    own = SemanticSegmentation(2, class_colors=[(1, 2, 3), (4, 5, 6)])
    np.testing.assert_array_equal(own.colorize(np.array([[1, 0]])), [[[4, 5, 6], [1, 2, 3]]])
    assert len({*SemanticSegmentation(40).class_colors, (0, 0, 0)}) == 41


def test_colorize_depth():
    task = DepthEstimation()
    depth = np.array([[1.0, 2.0, 3.0, 9.0], [0.0, np.nan, np.inf, -1.0]])[..., None]
    picture = task.colorize(depth, limits=(1.0, 3.0)).astype(int)
    assert not picture[1].any()
    np.testing.assert_array_equal(picture[0, [0, 2]], [(253, 231, 37), (68, 1, 84)])
    np.testing.assert_array_equal(picture[0, 2], picture[0, 3])
    # Nearer is brighter, also where the limits come from the picture.
    for brightness in (picture[0].sum(axis=-1), task.colorize(depth)[0].astype(int).sum(axis=-1)):
        assert brightness[0] > brightness[1] and brightness[2] >= brightness[3]
    # One depth only: no range to divide by.
    assert task.colorize(np.full((1, 2, 1), 2.0)).any()


def test_colorize_normals():
    normals = np.array([[[0, 0, -1], [1, 0, 0], [0, 0, 0], [np.nan, 0, 0]]], "float32")
    expected = [[[128, 128, 0], [255, 128, 128], [0, 0, 0], [0, 0, 0]]]
    np.testing.assert_array_equal(SurfaceNormals().colorize(normals), expected)


@pytest.mark.parametrize(
    "task",
    [
        *TASKS,
        SemanticSegmentation(2, 255, ["a", "b"], np.eye(2, 3), name="parts", averaging="batch"),
        SemanticSegmentation(2, name="object", class_weights=(1, 10)),
        DepthEstimation("disparity", "batch"),
    ],
    ids=lambda task: task.name,
)
def test_round_trip(task):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(task)))
    assert config["registered_name"] == f"keras_atinet>{type(task).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(task) and again.get_config() == task.get_config()
    assert repr(again) == repr(task)
