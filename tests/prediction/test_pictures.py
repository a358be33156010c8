import io
import sys

import numpy as np
import pytest

from keras_atinet import DepthEstimation, SemanticSegmentation, SurfaceNormals, Task
from keras_atinet.prediction.pictures import overlay, side_by_side

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.backend_free
TASKS = [SemanticSegmentation(), DepthEstimation(), SurfaceNormals()]


class Heat(Task):
    unit = "$K$"

    def __init__(self):
        super().__init__("own_heat", 1)

    def color_limits(self, target):
        return float(target.min()), float(target.max())

    def colorize(self, target, limits=None):
        return np.repeat(np.uint8(target), 3, axis=-1)


def room(height=6, width=8):
    rng = np.random.default_rng(0)
    segmentation = np.full((height, width), 11, "int32")
    segmentation[0, 0] = 4
    return {
        "image": rng.integers(0, 256, (height, width, 3), dtype="uint8"),
        "segmentation": segmentation,
        "depth": rng.uniform(1, 3, (height, width, 1)).astype("float32"),
        "normal": np.tile(np.float32([0, 0, -1]), (height, width, 1)),
        "own_heat": np.full((height, width, 1), 9, "float32"),
    }


def draw(maps, tasks=TASKS):
    figure = side_by_side(maps["image"], maps, tasks)
    file = io.BytesIO()
    figure.savefig(file)
    assert file.getvalue().startswith(b"\x89PNG")
    return figure


def legends(figure):
    found = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    return [[text.get_text() for text in legend.get_texts()] for legend in found]


def test_what_is_drawn_beside_the_photograph():
    maps = room()
    figure = draw(maps)
    cells = [axes for axes in figure.axes if axes.images]
    titles = [axes.get_title() for axes in cells]
    assert titles == ["photograph", "classes", "depth", "surface normals"]
    pictures = [np.asarray(axes.images[0].get_array()) for axes in cells]
    np.testing.assert_array_equal(pictures[0], maps["image"])
    np.testing.assert_array_equal(pictures[1], TASKS[0].colorize(maps["segmentation"]))
    np.testing.assert_array_equal(pictures[2], TASKS[1].colorize(maps["depth"]))
    directions, classes = legends(figure)
    assert directions == ["facing camera", "up", "down", "left", "right"]
    assert classes == ["wall 98 %", "floor 2 %"]
    (bar,) = [child for axes in figure.axes for child in axes.child_axes]
    assert bar.get_xlim() == pytest.approx(np.percentile(maps["depth"], [1, 99]))
    assert {label.get_text()[-2:] for label in bar.get_xticklabels()} == {" m"}


@pytest.mark.parametrize(
    ("size", "tasks"),
    [
        ((480, 360), TASKS),
        ((300, 20), TASKS),
        ((1, 1), TASKS[1:2]),
        ((1, 2400), [*TASKS, Heat()]),
        ((30, 40), [SemanticSegmentation(60, class_names=["a long $name$ of one class"] * 60)]),
    ],
)
def test_no_text_is_cut(size, tasks):
    maps = room(*size)
    if len(tasks) == 1:
        maps["segmentation"] = np.arange(size[0] * size[1]).reshape(size) % 60
    figure = draw(maps, tasks)
    width, height = figure.get_size_inches()
    drawn = figure.get_tightbbox()
    assert drawn.x0 >= 0 and drawn.x1 <= width and drawn.y0 >= 0 and drawn.y1 <= height
    assert max(figure.bbox.size) < 2000


def test_depth_that_is_predicted_as_0_is_near_and_not_missing():
    maps = room()
    maps["depth"][0, 0] = 0
    axes = side_by_side(maps["image"], maps, TASKS[1:2]).axes[1]
    near = TASKS[1].colorize(np.float32([[[1]]]), (1, 3))[0, 0]
    np.testing.assert_array_equal(np.asarray(axes.images[0].get_array())[0, 0], near)


def test_overlay():
    maps = room()
    for image in (maps["image"], maps["image"] / 255.0):
        for task in TASKS[:2]:
            colors = task.colorize(maps[task.name]).astype("float64")
            result = overlay(image, maps[task.name], task, 0.25)
            np.testing.assert_allclose(result, 0.75 * maps["image"] + 0.25 * colors, atol=0.51)
            assert result.dtype == np.uint8
    with pytest.raises(ValueError, match="same size"):
        overlay(maps["image"][1:], maps["depth"], TASKS[1])
    with pytest.raises(ValueError, match="`opacity`"):
        overlay(maps["image"], maps["depth"], TASKS[1], 50)


def test_without_matplotlib(monkeypatch):
    maps = room()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    overlay(maps["image"], maps["depth"], TASKS[1])
    with pytest.raises(ImportError, match=r"keras-atinet\[viz\]"):
        side_by_side(maps["image"], maps, TASKS)
