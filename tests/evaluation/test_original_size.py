"""Scores at the size of the labels."""

import keras
import numpy as np
import pytest

from keras_atinet import evaluation, runs
from keras_atinet.data import Batches, Rooms, resize

pytestmark = pytest.mark.one_backend  # sizes are changed in NumPy


class Varied(Rooms):
    """Rooms of different sizes; the second has no depth, the labels of the third are larger."""

    sizes = [(32, 32), (40, 56), (20, 30)]

    def __getitem__(self, index):
        tasks = {name: {} for name in self.tasks}
        sample = resize(super().__getitem__(index), self.sizes[index], tasks)
        if index == 1:
            del sample["depth"]
        if index == 2:
            large = resize({"depth": sample["depth"]}, (64, 64), tasks)
            sample["depth"] = large["depth"]
        return sample


class Constant:
    """Predicts class 1 on the left, class 2 on the right, depth 2 and a turned normal."""

    input_shape = (None, 32, 32, 3)

    def __init__(self, tasks):
        self.tasks, self.received = tasks, []

    def predict_on_batch(self, images):
        self.received.append(images.shape)
        logits = np.zeros((1, 32, 32, 13), "float32")
        logits[:, :, :16, 1], logits[:, :, 16:, 2] = 5, 5
        normal = np.zeros((1, 32, 32, 3), "float32")
        normal[:, :, :16, 0], normal[:, :, 16:, 2] = -1, -1
        return {
            "segmentation": logits,
            "depth": np.full((1, 32, 32, 1), 2, "float32"),
            "normal": normal,
        }


def test_predictions_are_resized_to_their_labels():
    source = Varied(3, (32, 32))
    model = Constant(runs.get_tasks(source))
    classes, sizes = evaluation.ClassScores(model.tasks), []

    def keep(y_true, y_pred, weights):
        classes(y_true, y_pred, weights)
        counted = keras.ops.convert_to_numpy(weights["normal"]) > 0
        sizes.append(tuple(int(counted.any(axis=axis).sum()) for axis in (2, 1)))
        lengths = np.linalg.norm(keras.ops.convert_to_numpy(y_pred["normal"]), axis=-1)
        # In the middle, the bilinear mean of two normals would be shorter.
        np.testing.assert_allclose(lengths[counted], 1, atol=1e-5)

    batches = evaluation.OriginalSize(source, model.tasks, (32, 32))
    results = evaluation.evaluate(model, batches, on_batch=keep)
    assert model.received == [(1, 32, 32, 3)] * 3
    assert sizes == Varied.sizes
    samples = list(source)
    depth = np.concatenate([s["depth"].ravel() for s in samples if "depth" in s])
    assert results["depth"]["abs_error"] == pytest.approx(np.mean(np.abs(depth - 2)), rel=1e-5)
    right = [
        (s["segmentation"] == np.where(np.arange(w) < w // 2, 1, 2)).mean() * s["segmentation"].size
        for s, (_, w) in zip(samples, Varied.sizes, strict=True)
    ]
    expected = sum(right) / sum(s["segmentation"].size for s in samples)
    assert results["segmentation"]["pixel_accuracy"] == pytest.approx(expected, rel=1e-5)
    assert classes.confusion["segmentation"].sum() == sum(s["segmentation"].size for s in samples)


def test_equal_sizes_give_the_scores_of_batches():
    source = Rooms(3, (4, 6))
    tasks = runs.get_tasks(source)
    model = Constant(tasks)
    model.predict_on_batch = lambda images: {
        "segmentation": np.tile(images, 5)[..., :13],
        "depth": images[..., :1],
        "normal": images - 0.5,
    }
    expected = evaluation.evaluate(model, Batches(source, batch_size=1, tasks=tasks))
    results = evaluation.evaluate(model, evaluation.OriginalSize(source, tasks, (4, 6)))
    for task, values in expected.items():
        assert results[task] == pytest.approx(values, rel=1e-5)
    constants = {"depth": np.float32([2])}
    of_constant = evaluation.evaluate_constants(
        tasks, constants, evaluation.OriginalSize(Varied(3, (32, 32)), tasks, (32, 32))
    )
    assert set(of_constant) == {"depth"} and of_constant["depth"]["abs_error"] > 0
