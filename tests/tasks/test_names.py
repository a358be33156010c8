import keras
import numpy as np
import pytest

from keras_atinet import DepthEstimation, SemanticSegmentation, Split
from keras_atinet.data import Batches, Rooms, rules
from keras_atinet.tasks import standardize_tasks
from keras_atinet.tasks.names import check_log_names

REFUSED = [
    "",
    "image",
    "a/b",
    3,
    None,
    "a b",
    "a:b",
    "a+b",
    "a\\b",
    "a.b",
    "_a",
    "-a",
    "Tiefe\u00e4",
    "<script>",
    "../../depth",
    "\x1b[31mdepth",
]


@pytest.mark.backend_free
@pytest.mark.parametrize("name", [*REFUSED, "a\n"])
def test_names_are_checked(name):
    with pytest.raises(ValueError, match="Received: name="):
        DepthEstimation(name=name)


@pytest.mark.backend_free
@pytest.mark.parametrize("name", ["\x1b[31mred", "two\nlines", "\x9b1m", "a\u2028b", "\udcff", 3])
def test_names_of_classes_have_no_control_characters(name, tmp_path):
    """They are printed in a terminal and in tables; all else is free."""
    SemanticSegmentation(2, class_names=["caf\u00e9 & <b>", "\u6728 $x$ \U0001f333"])
    with pytest.raises(ValueError, match="must be str without control characters") as raised:
        SemanticSegmentation(2, class_names=["wall", name])
    assert repr(name) in str(raised.value)
    assert not rules.are_names(["wall", name])


def test_what_is_allowed_makes_a_network_that_saves_and_loads(tmp_path):
    """On every backend; the dot is PyTorch's to refuse, all other signs are TensorFlow's."""
    names = ["depth_2", "far-depth", "3d", "D"]
    model = Split([DepthEstimation(name=name) for name in names], (32, 32, 3), (2, 2, 2, 2, 2))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert list(again.output) == names
    for old, new in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (old, new)))


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["a", "val_a"],
            "'val_a_loss' for the loss of task 'val_a' and for the loss of task 'a' in",
        ),
        (["val"], "'val_loss' for the loss of task 'val' and for the loss of all tasks in valid"),
        (["a", "a_b", "c", "b_c"], r"'a_b_c_cosine'.*\('a', 'b_c'\).*\('a_b', 'c'\)"),
    ],
)
def test_names_that_collide_in_the_logs(names, message):
    with pytest.raises(ValueError, match=message):
        standardize_tasks([DepthEstimation(name=name) for name in names])


@pytest.mark.backend_free
def test_metrics_that_collide_in_the_logs():
    check_log_names({"a": ["mae", np.mean, DepthEstimation().metrics()], "b": None})
    for name in ("loss", "weight", "gradient_norm", "b_cosine"):
        with pytest.raises(ValueError, match=f"Received: 'a_{name}' for .*the metric '{name}'"):
            check_log_names({"a": keras.metrics.Mean(name=name), "b": ()})


@pytest.mark.backend_free
def test_keys_of_data_are_names():
    rooms = Rooms(2, (32, 32))
    rooms.tasks = {"my depth": {"kind": "depth"}}
    with pytest.raises(ValueError, match=r"The key of a task in the data .*'my depth'"):
        Batches(rooms, batch_size=1)
