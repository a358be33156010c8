import io
import sys

import numpy as np
import pytest

from keras_atinet import DepthEstimation, SemanticSegmentation, SurfaceNormals
from keras_atinet.visualization import prediction_grid, sample_grid

pytest.importorskip("matplotlib")
TASKS = [SemanticSegmentation(), DepthEstimation(), SurfaceNormals()]


def samples(count=2, size=(4, 6), seed=0):
    rng = np.random.default_rng(seed)
    images = rng.random((count, *size, 3), "float32")
    targets = {
        "segmentation": np.full((count, *size), 4, "int32"),
        "depth": rng.uniform(1, 3, (count, *size, 1)).astype("float32"),
        "normal": np.tile(np.float32([0, 0, -1]), (count, *size, 1)),
    }
    predictions = {
        "segmentation": np.eye(13, dtype="float32")[np.full((count, *size), 11)],
        "depth": targets["depth"] * 2,
        "normal": -targets["normal"],
    }
    return images, targets, predictions


def picture_axes(figure):
    return [axes for axes in figure.axes if axes.images]


def pixels(axes):
    return np.asarray(axes.images[0].get_array())


def test_a_row_has_the_image_and_a_pair_for_each_task():
    figure = prediction_grid(*samples(), TASKS)
    axes = picture_axes(figure)
    assert len(axes) == 2 * 7
    assert [a.get_title() for a in axes[:7]] == [
        "image",
        "segmentation, truth",
        "segmentation, predicted",
        "depth, truth",
        "depth, predicted",
        "normal, truth",
        "normal, predicted",
    ]
    file = io.BytesIO()
    figure.savefig(file)
    assert file.getvalue().startswith(b"\x89PNG")


def test_the_legend_has_the_classes_that_occur():
    figure = prediction_grid(*samples(), TASKS)
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert [text.get_text() for text in legend.get_texts()] == ["floor", "wall"]


def test_truth_and_prediction_share_the_colours_of_depth():
    images, targets, predictions = samples(count=1)
    figure = prediction_grid(images, targets, {**predictions, "depth": targets["depth"]}, TASKS)
    truth, predicted = picture_axes(figure)[3:5]
    np.testing.assert_array_equal(pixels(truth), pixels(predicted))
    assert truth.get_xlabel() == predicted.get_xlabel()
    low, high = np.percentile(targets["depth"], [1, 99])
    assert truth.get_xlabel() == f"{low:.1f} to {high:.1f} m"


def test_missing_truth_is_black_and_a_negative_prediction_is_not():
    images, targets, predictions = samples(count=1)
    del targets["normal"]
    targets["segmentation"][:] = -1
    targets["depth"][:, :2] = 0
    predictions["depth"][:] = -1
    axes = picture_axes(prediction_grid(images, targets, predictions, TASKS))
    assert not pixels(axes[1]).any()
    assert not pixels(axes[3])[:2].any()
    assert pixels(axes[3])[2:].any(axis=-1).all()
    assert pixels(axes[4]).any(axis=-1).all()
    assert not pixels(axes[5]).any()


def test_all_truth_missing_and_one_task():
    images, targets, predictions = samples(count=1)
    figure = prediction_grid(images, {"depth": 0 * targets["depth"]}, predictions, [TASKS[1]])
    assert len(picture_axes(figure)) == 3


def test_classes_without_names_are_numbered():
    images, targets, predictions = samples(count=1)
    task = SemanticSegmentation(num_classes=20, ignore_class=4)
    predictions["segmentation"] = np.eye(20, dtype="float32")[targets["segmentation"] + 3]
    figure = prediction_grid(images, targets, predictions, [task])
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert [text.get_text() for text in legend.get_texts()] == ["class 7"]


def test_samples_are_drawn_with_what_they_have():
    images, targets, _ = samples()
    first = {"image": images[0], **{key: value[0] for key, value in targets.items()}}
    second = {"image": images[1], "normal": targets["normal"][1]}
    figure = sample_grid([first, second], TASKS, ["a", "b"])
    axes = picture_axes(figure)
    assert [a.get_title() for a in axes[:4]] == ["image", "segmentation", "depth", "normal"]
    assert [a.get_xlabel() for a in axes[4:]] == ["b", "no label", "no label", ""]
    assert axes[0].get_xlabel() == "a" and axes[2].get_xlabel().endswith(" m")
    np.testing.assert_array_equal(pixels(axes[1])[0, 0], TASKS[0].class_colors[4])
    assert not pixels(axes[6]).any() and pixels(axes[7]).any()
    (legend,) = [a.get_legend() for a in figure.axes if a.get_legend()]
    assert [text.get_text() for text in legend.get_texts()] == ["floor"]
    assert not [a for a in sample_grid([second], TASKS).axes if a.get_legend()]
    with pytest.raises(ValueError, match="at least one sample"):
        sample_grid([], TASKS)


def test_refuses_what_it_cannot_draw(monkeypatch):
    images, targets, predictions = samples()
    with pytest.raises(ValueError, match="`images`"):
        prediction_grid(images[:0], targets, predictions, TASKS)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"keras-atinet\[viz\]"):
        prediction_grid(images, targets, predictions, TASKS)
