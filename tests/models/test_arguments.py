"""Arguments that all networks take."""

import pytest

import keras_atinet

SHAPE, FILTERS = (32, 64, 3), (4, 6, 8, 10, 12)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"tasks": "colour"}, "colour"),
        ({"tasks": ()}, "at least one task"),
        ({"tasks": ("depth", "depth")}, "each name once"),
        ({"tasks": {"depth": 2}}, "1 channels"),
        ({"input_shape": (100, 128, 3)}, r"divisible by 32.*\(128, 128, 3\)"),
        ({"input_shape": (64, 64)}, "input_shape"),
        ({"filters": (4, 4, 4)}, "five positive integers"),
        ({"filters": (4, 4, 4, 4, 0)}, "five positive integers"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_atinet.ATINet(**{"input_shape": SHAPE, "filters": FILTERS, **arguments})


def test_single_task_wants_one_task():
    with pytest.raises(ValueError, match="one task"):
        keras_atinet.SingleTask(tasks=("depth", "normal"))
