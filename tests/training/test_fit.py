"""What `fit` takes, and what it warns of."""

import inspect

import keras
import numpy as np
import pytest

from keras_atinet import MultiTaskModel
from keras_atinet.balancing import GradientBalancer
from keras_atinet.data import Batches, Rooms, pipeline

TASKS = ("segmentation", "depth")


@pytest.mark.one_backend
def test_arguments_are_those_of_keras():
    expected = inspect.signature(keras.Model.fit).parameters
    own = dict(inspect.signature(MultiTaskModel.fit).parameters)
    assert own.pop("kwargs").kind is inspect.Parameter.VAR_KEYWORD  # of later versions
    assert list(own) == list(expected)
    assert {name: p.default for name, p in own.items()} == {
        name: p.default for name, p in expected.items()
    }


@pytest.mark.parametrize("balancer", ["equal", "uncertainty"])
def test_a_frozen_network_is_named(make, batch, values, balancer):
    images, targets = batch
    targets = {name: targets[name] for name in TASKS}
    model = make()
    model.trainable = False
    model.compile(keras.optimizers.SGD(0.1), balancer, run_eagerly=model.run_eagerly)
    kernel = model.get_layer("encoder").conv.kernel
    (before,) = values([kernel])
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        model.fit(images, targets, verbose=0)
    np.testing.assert_array_equal(values([kernel])[0], before)


def derived(kind):
    rooms, options = Rooms(4, (32, 64)), {"batch_size": 2, "tasks": TASKS}
    if kind == "generator":
        return Batches(rooms, **options).as_numpy_iterator()
    batches = pipeline(rooms, **options)
    return {"pipeline": batches, "take": batches.take(1), "map": batches.map(lambda *b: b)}[kind]


@pytest.mark.one_backend
@pytest.mark.parametrize("kind", ["pipeline", "take", "map", "generator"])
def test_no_warning_that_it_cannot_shuffle(make, kind, recwarn):
    model = make(tasks={"segmentation": 13, "depth": 1})
    model.fit(derived(kind), verbose=0, steps_per_epoch=1)
    assert not [warning for warning in recwarn if "shuffle" in str(warning.message)]


@pytest.mark.one_backend
def test_a_copy_is_made_from_the_config(make):
    """As `docs/faq.md` says."""
    model = make()
    copy = type(model).from_config(model.get_config())
    assert [task.name for task in copy.tasks] == list(TASKS)
    copy.set_weights(model.get_weights())
    image = np.zeros((1, 32, 64, 3), "float32")
    expected, found = (network.predict(image, verbose=0)["depth"] for network in (model, copy))
    np.testing.assert_array_equal(found, expected)
    # Should what Keras does instead change, so must the answer.
    clone = keras.models.clone_model(type(model).from_config(model.get_config()))
    assert not isinstance(clone, MultiTaskModel) and not hasattr(clone, "tasks")
    with pytest.raises(TypeError, match="balancer"):
        keras.models.clone_model(model)


@pytest.mark.one_backend
def test_a_data_set_may_have_epochs_of_its_own(make, batch):
    class Data(keras.utils.PyDataset):
        epochs = 10

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return batch[0], {name: batch[1][name] for name in TASKS}

    model = make()
    logs = model.fit(Data(), validation_data=Data(), verbose=0).history
    assert np.isfinite(logs["val_loss"]).all()
    assert np.isfinite(model.evaluate(Data(), verbose=0)).all()


@pytest.mark.one_backend
def test_a_compiled_network_is_compiled_anew(make, batch):
    """Nothing of the first `compile` is logged or tracked any more."""
    images, targets = batch
    targets = {name: targets[name] for name in TASKS}
    model, new = make(balancer=GradientBalancer(diagnostics=True), on_nonfinite="skip"), make()
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=model.run_eagerly)
    assert [metric.name for metric in model.metrics] == [metric.name for metric in new.metrics]
    histories = [
        network.fit(images, targets, validation_data=(images, targets), verbose=0).history
        for network in (model, new)
    ]
    assert histories[0].keys() == histories[1].keys()
