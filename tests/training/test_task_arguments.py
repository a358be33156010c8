"""What the arguments of `fit` and of tasks make of losses, metrics and logs."""

import keras
import numpy as np
import pytest

from keras_atinet import SemanticSegmentation
from keras_atinet.balancing import AlignedMTL
from keras_atinet.tasks.names import log_names
from keras_atinet.training.step.targets import valid_targets

WEIGHTS = [0.0, 0.5, 1.0, 4.0, 10.0]
TASKS = ("segmentation", "depth", "normal")


@pytest.mark.one_backend
def test_every_log_has_a_name_that_is_known(make, batch):
    model = make(tasks=TASKS, balancer=AlignedMTL(diagnostics=True), on_nonfinite="skip")
    history = model.fit(*batch, validation_data=batch, batch_size=4, verbose=0).history
    known = dict(log_names({task.name: task.metrics() for task in model.tasks}))
    assert set(history) <= set(known)
    assert len([name for name in history if name.endswith("_cosine")]) == 3


def test_shapes_of_sample_weight(make, batch):
    images, targets = batch
    model = make(tasks=TASKS, metrics={})
    pixels = np.random.default_rng(0).integers(0, 3, (4, 32, 64)).astype("float32")
    expected = model.test_on_batch(images, targets, pixels, return_dict=True)
    model.reset_metrics()
    actual = model.test_on_batch(images, targets, pixels[..., None], return_dict=True)
    assert actual == expected
    plain = model.evaluate(images, targets, verbose=0, return_dict=True)
    ones = np.ones_like(targets["depth"])
    own = {"segmentation": ones[:, 0, 0], "depth": ones, "normal": ones[..., 0]}
    assert model.evaluate(images, targets, sample_weight=own, verbose=0, return_dict=True) == plain
    for y in (targets, [targets[name] for name in TASKS]):  # one array for all tasks
        data = {"x": images, "y": y, "sample_weight": pixels}
        weighted = model.evaluate(**data, verbose=0, return_dict=True)
        assert weighted == pytest.approx(expected, rel=1e-5)
    wrong = [np.ones_like(targets["normal"]), pixels[:, :16], pixels[0], pixels[..., None, None]]
    for weight in (*wrong, pixels[:, 0]):
        for step in (model.train_on_batch, model.test_on_batch):
            with pytest.raises(ValueError, match="`sample_weight` of task 'depth' must") as error:
                step(images, targets, {"depth": weight})
            assert f"{weight.shape[-1]})." in str(error.value).split("Received:")[1]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="sizes that may be any")
def test_sample_weight_of_unknown_size(make, batch):
    import tensorflow as tf

    _, targets = batch
    model = make(metrics={})
    data = {name: targets[name] for name in ("segmentation", "depth")}
    outputs = {task.name: tf.zeros((4, 32, 64, task.channels)) for task in model.tasks}

    def weigh(weight, depth=data["depth"], output=outputs["depth"]):
        y, y_pred = {**data, "depth": depth}, {**outputs, "depth": output}
        return valid_targets(model.tasks, y, y_pred, {"depth": weight})[1]["depth"]

    # Keras traces so what it is given after another shape.
    of_any_rank = tf.function(weigh, input_signature=[tf.TensorSpec(None)])
    of_any_size = tf.function(weigh, input_signature=[tf.TensorSpec([None] * 4)])
    expected = 3.0 * (targets["depth"][..., 0] > 0)
    for shape in ((4,), (4, 1), (4, 32, 64), (4, 32, 64, 1)):
        np.testing.assert_array_equal(of_any_rank(tf.fill(shape, 3.0)), expected)
    np.testing.assert_array_equal(of_any_size(tf.fill(shape, 3.0)), expected)
    # A network of any image size.
    one_channel = tf.TensorSpec([None, None, None, 1])
    all_of_any_size = tf.function(weigh, input_signature=[one_channel] * 3)
    given = (tf.fill(shape, 3.0), data["depth"], outputs["depth"])
    np.testing.assert_array_equal(all_of_any_size(*given), expected)


def test_class_weight_of_fit_is_refused(make, batch):
    model = make(tasks=("segmentation",))
    for method in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=r"class_weight=\{0: 2.0\}.*class_weights=\["):
            method(*batch, class_weight={0: 2.0})


def test_a_model_that_is_not_compiled(make, batch):
    model = make()
    model = type(model).from_config(model.get_config())
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=f"`{method.__name__}` needs a compiled model"):
            method(*batch)


def test_class_weights_weigh_the_loss_and_nothing_else(make, batch, values, tmp_path):
    images, targets = batch
    labels = {"segmentation": targets["segmentation"]}
    model = make(tasks=SemanticSegmentation(5, ignore_class=3, class_weights=WEIGHTS))
    logs = model.test_on_batch(images, labels, return_dict=True)

    logits = keras.ops.convert_to_numpy(model(images)["segmentation"]).astype("float64")
    truth = labels["segmentation"]
    valid = (truth >= 0) & (truth != 3)
    likelihood = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    losses = -np.log(np.take_along_axis(likelihood, np.maximum(truth, 0)[..., None], -1)[..., 0])
    weights = np.array(WEIGHTS)[truth] * valid
    expected = (weights * losses).sum() / weights.sum()
    for name in ("loss", "segmentation_loss"):
        np.testing.assert_allclose(logs[name], expected, rtol=1e-5)
    right = (logits.argmax(axis=-1) == truth)[valid].mean()
    np.testing.assert_allclose(logs["segmentation_pixel_accuracy"], right, rtol=1e-5)

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.tasks[0].class_weights == WEIGHTS
    np.testing.assert_allclose(
        again.for_inference().predict(images, verbose=0)["segmentation"], logits, atol=1e-4
    )

    # Only class 0, of weight 0: the loss is 0, and so is its gradient.
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=model.run_eagerly)
    before = values(model.trainable_variables)
    logs = model.train_on_batch(images, {"segmentation": np.zeros_like(truth)}, return_dict=True)
    assert logs["segmentation_loss"] == 0
    for old, new in zip(before, values(model.trainable_variables), strict=True):
        np.testing.assert_array_equal(old, new)
