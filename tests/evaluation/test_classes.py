import numpy as np
import pytest
from keras import ops

from keras_atinet import DepthEstimation, SemanticSegmentation, evaluation

pytestmark = pytest.mark.one_backend
# 20 pixels: 12 road, 6 sky, one person and one ignored; all but one sky are predicted as road.
TRUTH = np.array([[0] * 12 + [1] * 6 + [2, -1]], "int32")[None]
PREDICTED = np.array([[0] * 17 + [1, 0, 1]])[None]


def classes_of(names, averaging="pixel", truth=TRUTH, **options):
    tasks = [
        SemanticSegmentation(4, class_names=names, averaging=averaging, **options),
        DepthEstimation(),
    ]
    logits = np.eye(4, dtype="float32")[PREDICTED]
    depth = np.ones((*truth.shape, 1), "float32")
    classes = evaluation.ClassScores(tasks)
    predict = lambda images: {"segmentation": logits, "depth": depth}  # noqa: E731
    batches = [(None, {"segmentation": truth, "depth": depth})]
    results = evaluation.evaluate_function(tasks, predict, batches, classes)
    return classes, results["segmentation"]


@pytest.mark.parametrize("averaging", ["pixel", "batch"])
def test_a_score_for_each_class(averaging):
    classes, results = classes_of(["road", "sky", "person", "car"], averaging)
    assert classes.iou() == {
        "segmentation": pytest.approx(
            {"road": 12 / 18, "sky": 1 / 6, "person": 0, "car": np.nan}, nan_ok=True
        )
    }
    assert results["mean_iou"] == pytest.approx((12 / 18 + 1 / 6) / 3)
    np.testing.assert_array_equal(
        classes.confusion["segmentation"],
        [[12, 0, 0, 0], [5, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]],
    )


def test_the_table_tells_that_all_is_one_class():
    classes, _ = classes_of(["road", "sky", "person", "car"])
    *rows, warning = classes.table().splitlines()
    assert warning == "94.7 % of the pixels of segmentation are predicted as road; 63.2 % are."
    assert [row.split() for row in rows] == [
        [],
        ["segmentation", "IoU", "truth", "predicted"],
        ["road", "0.6667", "63.2", "%", "94.7", "%"],
        ["sky", "0.1667", "31.6", "%", "5.3", "%"],
        ["person", "0.0000", "5.3", "%", "-"],
        ["car", "-", "-", "-"],
    ]
    nothing_right, _ = classes_of(None, truth=np.where(PREDICTED == 0, 3, TRUTH))
    assert nothing_right.warnings()[0].endswith("predicted as class 0; 0.0 % are.")
    # Of these, nearly all pixels are road.
    mostly, _ = classes_of(None, truth=np.where(PREDICTED == 0, 0, TRUTH))
    assert mostly.warnings() == []


def test_names_and_labels_may_be_missing():
    classes, _ = classes_of(["road", "other", "other", "car"], ignore_class=2)
    assert list(classes.iou()["segmentation"]) == ["road", "other (1)", "other (2)", "car"]
    assert np.isnan(classes.iou()["segmentation"]["other (2)"])
    numbered, _ = classes_of(None)
    assert numbered.names == {"segmentation": ["class 0", "class 1", "class 2", "class 3"]}
    nothing, _ = classes_of(None, truth=np.full_like(TRUTH, -1))
    assert nothing.table() == "" and np.isnan(list(nothing.iou()["segmentation"].values())).all()
    assert evaluation.ClassScores([DepthEstimation()]).table() == ""


def test_forty_classes_fit_a_terminal():
    task = SemanticSegmentation(40)
    classes = evaluation.ClassScores([task])
    labels = ops.convert_to_tensor(np.arange(40, dtype="int32").reshape(1, 4, 10))
    logits = ops.one_hot(labels, 40)
    classes(
        {"segmentation": labels}, {"segmentation": logits}, {"segmentation": ops.ones((1, 4, 10))}
    )
    lines = classes.table().splitlines()
    assert len(lines) == 42 and max(map(len, lines)) <= 80
