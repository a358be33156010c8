"""Samples and batches that lack tasks, from the source to the weights."""

import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet.data import Batches, Source

TASKS = ["depth", "normal"]


class Partial(Source):
    """Eight samples; `lacking` says which lack which tasks."""

    split, image_size = "train", (4, 6)
    tasks = {"depth": {"kind": "depth"}, "normal": {"kind": "normal"}}

    def __init__(self, lacking, length=8):
        self.lacking, self.length = lacking, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        normal = rng.normal(size=(4, 6, 3)).astype("float32")
        sample = {
            "image": rng.random((4, 6, 3), dtype="float32"),
            "depth": rng.uniform(1, 5, (4, 6, 1)).astype("float32"),
            "normal": normal / np.linalg.norm(normal, axis=-1, keepdims=True),
        }
        return {key: sample[key] for key in sample if key not in self.lacking.get(index, ())}


def make_model(optimizer="sgd"):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 6, 3))
    shared = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    outputs = {
        "depth": keras.layers.Conv2D(1, 1)(shared),
        "normal": keras.layers.Conv2D(3, 1)(shared),
    }
    tasks = [keras_atinet.DepthEstimation(), keras_atinet.SurfaceNormals()]
    model = keras_atinet.MultiTaskModel(inputs, outputs, tasks, {})
    model.compile(optimizer)
    return model


def arrays(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assert_equal(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_absent_tasks_add_nothing_to_losses_and_metrics():
    model = make_model()
    partial = Partial({index: ("normal",) for index in range(4, 8)})
    logs = model.evaluate(Batches(partial, batch_size=3), verbose=0, return_dict=True)
    # The depth is that of all samples, the normals those of the four that have them.
    every = model.evaluate(Batches(Partial({}), batch_size=3), verbose=0, return_dict=True)
    four = model.evaluate(Batches(Partial({}, 4), batch_size=3), verbose=0, return_dict=True)
    for name, value in logs.items():
        if name != "loss":
            same = every if name.startswith("depth") else four
            np.testing.assert_allclose(value, same[name], rtol=1e-5, err_msg=name)
    assert not np.isclose(every["normal_loss"], four["normal_loss"], rtol=1e-4)


def test_a_task_that_no_sample_has_trains_like_none():
    model = make_model(keras.optimizers.SGD(0.1))
    head, other = (model.get_layer(layer).variables for layer in head_names(model))
    before, other_before = arrays(head), arrays(other)
    nothing = Partial({index: ("normal",) for index in range(8)})
    logs = model.fit(Batches(nothing), epochs=1, verbose=0, shuffle=False).history
    assert np.isnan(logs["normal_loss"]) and logs["depth_loss"][0] > 0
    assert_equal(arrays(head), before)
    assert any((a != b).any() for a, b in zip(arrays(other), other_before, strict=True))


def head_names(model):
    # The head of the normals, then that of depth.
    heads = [layer.name for layer in model.layers if getattr(layer, "filters", 4) != 4]
    return sorted(heads, key=lambda name: -model.get_layer(name).filters)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_batch_without_labels_changes_nothing(optimizer):
    model = make_model(optimizer)
    # Batches of two: the second and fourth have no label at all.
    partial = Partial({index: TASKS for index in (2, 3, 6, 7)})
    stages = []

    class Recorder(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            stages.append(
                arrays([*self.model.trainable_variables, *self.model.optimizer.variables])
            )

    callbacks = [Recorder()]
    model.fit(Batches(partial, batch_size=2), verbose=0, shuffle=False, callbacks=callbacks)
    assert_equal(stages[1], stages[0])
    assert_equal(stages[3], stages[2])
    assert any((a != b).any() for a, b in zip(stages[2], stages[1], strict=True))
