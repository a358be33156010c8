import json

import keras
import numpy as np
import pytest
from keras import backend, ops

from keras_atinet import DepthEstimation, SemanticSegmentation, SurfaceNormals, losses

TASKS = {task.name: task for task in (SemanticSegmentation(), DepthEstimation(), SurfaceNormals())}


@pytest.fixture(scope="module")
def batch(golden):
    """By task: target, prediction, mask of the valid pixels."""
    arrays = golden["arrays"]
    return {
        "segmentation": (arrays["label"], arrays["logits"], arrays["label"] >= 0),
        "depth": (arrays["depth"], arrays["depth_pred"], arrays["depth"][..., 0] > 0),
        "normal": (arrays["normal"], arrays["normal_pred"], np.any(arrays["normal"], axis=-1)),
    }


def cross_entropy(label, logits):
    logits = logits - logits.max(axis=-1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(log_probabilities, label[..., None], axis=-1)[..., 0]


def absolute_error(depth, predicted):
    return np.abs(depth - predicted)[..., 0]


def cosine_distance(normal, predicted):
    cosine = (normal * predicted).sum(axis=-1)
    return 1 - cosine / np.linalg.norm(normal, axis=-1) / np.linalg.norm(predicted, axis=-1)


REFERENCES = {
    "segmentation": cross_entropy,
    "depth": absolute_error,
    "normal": cosine_distance,
}


def compute(apply, name, target, predicted, factor=1.0):
    """The loss as the networks compute it: the target goes through the task first."""
    task = TASKS[name]

    def forward(target, predicted):
        target, mask = task.prepare(target)
        loss = task.loss()(target, predicted, factor * ops.cast(mask, "float32"))
        assert backend.standardize_dtype(loss.dtype) == "float32"
        return loss

    return float(apply(forward, target, predicted))


@pytest.mark.parametrize("name", TASKS)
def test_golden(apply, golden, batch, name):
    target, predicted, _ = batch[name]
    key = f"{name}_loss"
    for index, expected in enumerate(golden["batches"]):
        part = slice(2 * index, 2 * index + 2)
        actual = compute(apply, name, target[part], predicted[part])
        assert actual == pytest.approx(expected[key], abs=1e-5)
    actual = compute(apply, name, target, predicted)
    assert actual == pytest.approx(golden["pooled"][key], abs=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", TASKS)
def test_reference_on_predictions_of_any_precision(apply, batch, name, dtype):
    target, predicted, mask = batch[name]
    half = ops.cast(predicted[:1], dtype)
    rounded = ops.convert_to_numpy(ops.cast(half, "float32"))
    expected = REFERENCES[name](target[:1][mask[:1]], rounded[mask[:1]]).mean()
    actual = compute(apply, name, target[:1], half)
    assert actual == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_only_the_ratio_of_the_weights_matters(apply, batch, name):
    target, predicted, _ = batch[name]
    once = compute(apply, name, target[:1], predicted[:1])
    assert compute(apply, name, target[:1], predicted[:1], factor=0.25) == pytest.approx(once)


@pytest.mark.skipif(
    keras.backend.backend() == "torch" and keras.version() < "3.15",
    reason="a fault of Keras, which the train step goes around",
)
@pytest.mark.parametrize("name", TASKS)
def test_a_batch_without_valid_pixels_gives_zero_and_no_gradient(gradient, name):
    task = TASKS[name]
    void = np.full((1, *task.target_shape(2, 3)), task.missing_value, task.target_dtype)
    target, mask = task.prepare(ops.convert_to_tensor(void))

    def forward(predicted):
        return task.loss()(target, predicted, ops.cast(mask, "float32"))

    # A zero prediction is the hardest case for normals.
    predicted = np.zeros((1, 2, 3, task.channels), "float32")
    np.testing.assert_array_equal(gradient(forward, predicted), 0)
    assert float(forward(ops.convert_to_tensor(predicted))) == 0


def test_gradient_reaches_valid_pixels_only(gradient, batch):
    target, predicted, mask = (values[:1, :4, :4] for values in batch["depth"])
    assert 0 < mask.sum() < mask.size
    task = TASKS["depth"]
    prepared, valid = task.prepare(ops.convert_to_tensor(target))
    actual = gradient(lambda y: task.loss()(prepared, y, ops.cast(valid, "float32")), predicted)
    expected = np.sign(predicted - target) * mask[..., None] / mask.sum()
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_cosine_distance_of_any_length(apply):
    vectors = np.array([[0, 0, -1], [0, 0, -1], [0, 0, -1], [0, 0, -1]], "float32")
    predicted = np.array([[0, 0, -9], [0, 0, 3], [0.1, 0, 0], [0, 0, 0]], "float32")
    loss = losses.CosineDistance(reduction=None)
    actual = apply(loss, vectors.reshape(1, 2, 2, 3), predicted.reshape(1, 2, 2, 3))
    np.testing.assert_allclose(actual, [[[0, 2], [1, 1]]], atol=1e-6)


@pytest.mark.parametrize("name", [*TASKS, "weighted"])
def test_round_trip(name):
    weighted = SemanticSegmentation(2, name="weighted", class_weights=[1, 3])
    loss = {**TASKS, "weighted": weighted}[name].loss()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    assert again.reduction == "mean_with_sample_weight"
