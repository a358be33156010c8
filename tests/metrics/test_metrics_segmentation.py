import numpy as np
import pytest
from keras import ops

from keras_atinet import SemanticSegmentation
from keras_atinet.metrics import MeanIoU, PixelAccuracy


@pytest.fixture
def pixels(golden):
    arrays = golden["arrays"]
    valid = arrays["label"] >= 0
    # Both values that mean void, at pixels that the weights leave out.
    label = np.where(valid, arrays["label"], np.arange(32) % 2 * 256 - 1)
    return label, arrays["logits"], valid


def mean_iou(y_true, y_pred):
    y_true, predicted = y_true[:, 0], y_pred.argmax(axis=-1)
    iou = [
        ((y_true == c) & (predicted == c)).sum() / ((y_true == c) | (predicted == c)).sum()
        for c in np.union1d(y_true, predicted)
    ]
    return np.mean(iou)


def pixel_accuracy(y_true, y_pred):
    return (y_true[:, 0] == y_pred.argmax(axis=-1)).mean()


def test_mean_iou(check_metric, pixels):
    check_metric(lambda averaging: MeanIoU(13, averaging), *pixels, mean_iou)


def test_pixel_accuracy(check_metric, pixels):
    check_metric(PixelAccuracy, *pixels, pixel_accuracy)


def test_golden(golden, pixels, run):
    label, logits, valid = pixels
    assert run(MeanIoU(13), label, logits, valid) == pytest.approx(golden["miou"], abs=1e-6)
    accuracy = run(PixelAccuracy(), label, logits, valid)
    assert accuracy == pytest.approx(golden["pixel_accuracy"], abs=1e-6)


def test_evaluate(golden, pixels, evaluate):
    label, logits, valid = pixels
    metrics = [MeanIoU(13), PixelAccuracy()]
    logs = evaluate(metrics, label, logits, valid.astype("float32"))
    assert logs["mean_iou"] == pytest.approx(golden["miou"], abs=1e-6)
    assert logs["pixel_accuracy"] == pytest.approx(golden["pixel_accuracy"], abs=1e-6)


def test_absent_class_is_left_out_and_confused_class_is_not():
    logits = np.eye(4, dtype="float32")[[[[0, 0, 1]]]]
    metric = MeanIoU(4)
    metric.update_state(np.array([[[0, 0, 2]]]), logits)
    # Class 0 is right, 1 was predicted wrongly, 2 was missed, 3 does not occur.
    assert float(metric.result()) == pytest.approx(1 / 3)


def test_unknown_labels_are_left_out_of_mean_iou_without_weights():
    logits = np.eye(2, dtype="float32")[[[[0, 1, 0, 1]]]]
    metric = MeanIoU(2)
    metric.update_state(np.array([[[0, 1, -1, 255]]]), logits)
    assert float(metric.result()) == 1


@pytest.mark.parametrize("averaging", ["pixel", "batch"])
def test_an_ignored_class_is_no_part_of_the_mean(averaging):
    logits = np.eye(3, dtype="float32")[[[[0, 1, 2, 1]]]]
    metric = MeanIoU(3, averaging, ignore_class=2)
    metric.update_state(np.array([[[0, 1, 1, 2]]]), logits)
    # Class 0 is right, 1 was missed once; the last pixel does not count.
    assert float(metric.result()) == (1 + 1 / 2) / 2
    config = metric.get_config()
    assert MeanIoU.from_config(config).get_config() == config
    del config["ignore_class"]  # as files from before
    assert MeanIoU.from_config(config).ignore_class is None
    (of_task, _) = SemanticSegmentation(3, ignore_class=2).metrics()
    of_task.update_state(np.array([[[0, 1, 1, 0]]]), logits, np.array([[[1, 1, 1, 0]]]))
    assert float(of_task.result()) == (1 + 1 / 2) / 2


def test_wrong_numbers_of_classes():
    with pytest.raises(ValueError, match="Received: num_classes=0"):
        MeanIoU(0)
    with pytest.raises(ValueError, match="Received: 3 channels, num_classes=2"):
        MeanIoU(2).update_state(np.zeros((1, 1, 1), "int32"), np.zeros((1, 1, 1, 3), "float32"))


@pytest.mark.parametrize("ignore_class", [None, 2])
def test_the_mean_of_the_classes_is_the_mean_iou(pixels, run, ignore_class):
    label, logits, valid = pixels
    metric = MeanIoU(14, ignore_class=ignore_class)  # class 13 does not occur
    logits = np.concatenate([logits, np.full_like(logits[..., :1], -9)], axis=-1)
    mean = run(metric, label, logits, valid)
    counted = valid & (label != ignore_class)
    y_true, predicted = label[counted], logits.argmax(axis=-1)[counted]
    expected = np.full(14, np.nan)
    for c in set(range(13)) - {ignore_class}:
        union = ((y_true == c) | (predicted == c)).sum()
        expected[c] = ((y_true == c) & (predicted == c)).sum() / union if union else np.nan
    found = np.array(ops.convert_to_numpy(metric.class_iou()))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.nanmean(found) == pytest.approx(mean, rel=1e-6)


def test_means_of_batches_have_no_classes():
    with pytest.raises(ValueError, match="averaging='batch'"):
        MeanIoU(3, "batch").class_iou()
