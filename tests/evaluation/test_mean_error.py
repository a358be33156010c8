from types import SimpleNamespace

import numpy as np
import pytest

from keras_atinet.evaluation import MeanError
from keras_atinet.tasks import DepthEstimation, SemanticSegmentation, SurfaceNormals, Task

pytestmark = pytest.mark.backend_free


class Bare(Task):
    def metrics(self):
        return []


def error(tasks, **logs):
    callback, logs = MeanError(), {"val_loss": 3.0, **logs}
    callback.set_model(SimpleNamespace(tasks=tasks))
    callback.on_epoch_end(0, logs)
    return logs["val_error"]


def test_the_geometric_mean_of_the_errors():
    tasks = [SemanticSegmentation(13), DepthEstimation(), SurfaceNormals(), Bare("edges", 1)]
    logs = {"val_segmentation_mean_iou": 0.4, "val_depth_abs_error": 0.5}
    logs |= {"val_segmentation_pixel_accuracy": 0.9, "val_normal_mean_angle": 30.0}
    np.testing.assert_allclose(error(tasks, **logs), (0.6 * 0.5 * 30.0) ** (1 / 3))
    logs["val_depth_abs_error"] = float("nan")
    np.testing.assert_allclose(error(tasks, **logs), (0.6 * 30.0) ** 0.5)
    assert error(tasks[:1], val_segmentation_mean_iou=1.0) == 0
    assert np.isnan(error(tasks[:1], val_segmentation_mean_iou=float("nan")))


def test_epochs_without_validation_have_none():
    callback, logs = MeanError(), {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    assert logs == {"loss": 1.0}
