import re

import numpy as np
import pytest

from keras_atinet.data import Rooms
from keras_atinet.data.preparation.problems import problems

pytestmark = pytest.mark.backend_free
TASKS = {
    "segmentation": {"num_classes": 13},
    "depth": {},
    "normal": {},
    "flow": {"channels": 2},
}


def sample():
    return {**Rooms(1, (8, 10))[0], "flow": np.full((8, 10, 2), -3, "float32")}


def test_good_samples_have_no_problems():
    assert problems(sample(), TASKS) == {}
    partial = sample()
    del partial["depth"], partial["segmentation"]
    assert problems(partial, TASKS) == {}


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("image", lambda image: image * 255, r"'image' must be in \[0, 1\]. Received: .* to 2"),
        ("image", lambda image: image * np.float32("nan"), r"'image' .*nan"),
        ("image", lambda image: image[..., :1], r"float32 of shape \(8, 10, 3\).*\(8, 10, 1\)"),
        ("image", lambda image: image.astype("float64"), "float32 of shape.*float64"),
        ("segmentation", lambda labels: labels + 13, r"'segmentation' must be in \[-1, 12\]"),
        ("segmentation", lambda labels: labels - 20, r"in \[-1, 12\]. Received: -"),
        ("segmentation", lambda labels: labels.astype("int64"), "int32 of shape"),
        ("segmentation", lambda labels: labels[1:], r"\(8, 10\)\. Received: int32 of \(7, 10\)"),
        ("depth", lambda depth: depth - 100, "'depth' must be finite and at least 0"),
        ("depth", lambda depth: depth / 0, "'depth' must be finite.*inf"),
        ("depth", lambda depth: depth[..., 0], r"float32 of shape \(8, 10, 1\)"),
        ("depth", lambda depth: list(depth), "float32 of shape .*list"),
        (
            "normal",
            lambda normal: normal * 2,
            "'normal' must be unit vectors.*length 2 at 80 of 80",
        ),
        ("normal", lambda normal: normal * np.nan, "'normal' must be unit vectors.*nan"),
        ("flow", lambda flow: flow * np.nan, "'flow' must be finite. Received: nan"),
    ],
)
def test_problems_name_the_key(key, change, message):
    wrong = sample()
    with np.errstate(divide="ignore"):
        wrong[key] = change(wrong[key])
    found = problems(wrong, TASKS)
    assert list(found) == [key]
    assert re.search(message, found[key])


def test_keys_are_those_of_the_source():
    assert problems({}, TASKS) == {"image": "There is no 'image'."}
    found = problems({**sample(), "edges": np.zeros(3)}, TASKS)
    assert list(found) == ["edges"]
    assert "'edges' is none of the source's tasks" in found["edges"]
    empty = np.zeros((0, 10, 3), "float32")
    assert "'image' has no pixels" in problems({"image": empty}, TASKS)["image"]
