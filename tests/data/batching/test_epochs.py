"""Which samples arrive in `fit`, epoch by epoch."""

import contextlib

import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet.data import Batches, Source, pipeline

try:
    import tensorflow as tf
except ImportError:
    tf = None
both = pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            pipeline, marks=pytest.mark.skipif(tf is None, reason="no TensorFlow"), id="tf"
        ),
        pytest.param(Batches, id="PyDataset"),
    ],
)
LENGTH, SEED = 5, 7


class Numbered(Source):
    """Sample i has the depth i everywhere."""

    split, image_size, tasks = "train", (2, 2), {"depth": {}}

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        depth = np.full((2, 2, 1), index, "float32")
        return {"image": np.ones((2, 2, 3), "float32"), "depth": depth}


def add(sample, rng):
    return {**sample, "depth": sample["depth"] + rng.uniform(0.1, 0.9)}


def data(make, length=LENGTH, **options):
    options = {"batch_size": 1, "shuffle": True, "seed": SEED, "augment": add, **options}
    return make(Numbered(length), **options)


def stream(numbers, length=LENGTH):
    """The depth in some batches of the stream of all passes."""
    depth = []
    for epoch, position in (divmod(number, length) for number in numbers):
        index = int(np.random.default_rng((SEED, epoch)).permutation(length)[position])
        depth.append(index + np.random.default_rng((SEED, epoch, index)).uniform(0.1, 0.9))
    return depth


class Latest(keras.metrics.Metric):
    """The depth in the latest batch."""

    def __init__(self, name="latest"):
        super().__init__(name=name)
        self.depth = self.add_variable(shape=(), initializer="zeros", name="depth")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.depth.assign(y_true[0, 0, 0, 0])

    def result(self):
        return keras.ops.convert_to_tensor(self.depth)


def new_model(ours=True, **options):
    inputs = keras.Input((2, 2, 3))
    outputs = {"depth": keras.layers.Conv2D(1, 1, name="depth")(inputs)}
    options = {"metrics": {"depth": [Latest()]}, "run_eagerly": True, **options}
    if ours:
        model = keras_atinet.MultiTaskModel(inputs, outputs, [keras_atinet.DepthEstimation()], {})
    else:
        model = keras.Model(inputs, outputs)
        options["loss"] = {"depth": "mse"}
    model.compile(keras.optimizers.SGD(0.0), **options)
    return model


class Recorder(keras.callbacks.Callback):
    """`seen`: dict, epoch of `fit` -> depth in the batches it trained on."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def on_epoch_begin(self, epoch, logs=None):
        self.seen[epoch] = self.epoch = []

    def on_train_batch_end(self, batch, logs=None):
        self.epoch += [float(value) for key, value in logs.items() if key.endswith("latest")]


def fit(x, epochs, model=None, callbacks=(), **options):
    recorder = Recorder()
    options = {"verbose": 0, "shuffle": False, "callbacks": [recorder, *callbacks], **options}
    with contextlib.suppress(ZeroDivisionError):
        (model or new_model()).fit(x, epochs=epochs, **options)
    return recorder.seen


def assert_seen(seen, expected, length=LENGTH):
    assert list(seen) == list(expected)
    for epoch, numbers in expected.items():
        np.testing.assert_allclose(seen[epoch], stream(numbers, length), rtol=1e-5)


def epochs_of(steps, *epochs):
    return {epoch: range(epoch * steps, (epoch + 1) * steps) for epoch in epochs}


@both
@pytest.mark.parametrize("steps", [None, 2, pytest.param(LENGTH, marks=pytest.mark.one_backend), 7])
class TestFit:
    """Epoch `e` begins at batch `e * steps` of the stream, whatever came before."""

    def test_from_the_start_and_on(self, make, steps):
        x, count, model = data(make), steps or LENGTH, new_model()
        options = dict(model=model, steps_per_epoch=steps, validation_data=data(make, 2))
        assert_seen(fit(x, 3, **options), epochs_of(count, 0, 1, 2))
        assert x.epochs.next == 3
        # The next `fit` goes on, whether it counts its epochs from 0 or not.
        assert_seen(fit(x, 5, initial_epoch=3, **options), epochs_of(count, 3, 4))
        seen = fit(x, 1, **options)
        assert_seen({5: seen[0]}, epochs_of(count, 5))

    def test_resumed(self, make, steps):
        x, count = data(make, first_epoch=2), steps or LENGTH
        seen = fit(x, 4, initial_epoch=2, steps_per_epoch=steps)
        assert_seen(seen, epochs_of(count, 2, 3))
        x.epochs.next = 1
        assert_seen({1: fit(x, 1, steps_per_epoch=steps)[0]}, epochs_of(count, 1))

    def test_broken_off_and_begun_anew(self, make, steps):
        def fail(batch, logs):
            if x.epochs.next == 1 and batch == count // 2:
                raise ZeroDivisionError

        x, count = data(make), steps or LENGTH
        failing = keras.callbacks.LambdaCallback(on_train_batch_begin=fail)
        seen = fit(x, 3, callbacks=[failing], steps_per_epoch=steps)
        assert_seen(seen, {0: range(count), 1: range(count, count + count // 2)})
        assert_seen(fit(x, 3, steps_per_epoch=steps, initial_epoch=1), epochs_of(count, 1, 2))


@both
def test_passes_within_a_fit_do_not_disturb_it(make):
    x, model = data(make), new_model()
    evaluate = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: [model.evaluate(x, verbose=0), model.predict(x, verbose=0)]
    )
    seen = fit(x, 2, model, [evaluate], validation_data=x)
    assert_seen(seen, epochs_of(LENGTH, 0, 1))


@both
@pytest.mark.parametrize("steps", [None, 2])
def test_a_backup_moves_the_data_too(make, steps, tmp_path):
    def fail(epoch, logs):
        if epoch == 2:
            raise ZeroDivisionError

    count = steps or LENGTH
    for fails in (True, False):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        failing = keras.callbacks.LambdaCallback(on_epoch_begin=fail if fails else None)
        seen = fit(data(make), 4, callbacks=[backup, failing], steps_per_epoch=steps)
    assert_seen(seen, epochs_of(count, 2, 3))


@both
@pytest.mark.parametrize("length", [1, 2])
def test_batches_that_build_the_model_are_no_epoch(make, length, recwarn):
    # They may be all there are.
    x = data(make, length, first_epoch=3)
    seen = fit(x, 5, initial_epoch=3, shuffle=True)
    assert_seen(seen, epochs_of(length, 3, 4), length)
    # `fit` shuffles by default, which it could not do here.
    assert not [warning for warning in recwarn if "shuffle" in str(warning.message)]


@both
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras refuses it on PyTorch")
def test_steps_per_execution(make):
    model = new_model(steps_per_execution=2)
    seen = fit(data(make), 2, model, steps_per_epoch=3)
    # Twice two steps an epoch, of which the second one is seen.
    assert_seen(seen, {0: [1, 3], 1: [5, 7]})


@both
def test_the_fit_of_keras(make):
    x, model = data(make), new_model(ours=False)
    options = dict(model=model, validation_data=data(make, 2))
    assert_seen(fit(x, 2, **options), epochs_of(LENGTH, 0, 1))
    assert x.epochs.next == 2


@both
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_the_fit_of_keras_in_steps(make):
    x = data(make)
    options = dict(model=new_model(ours=False), validation_data=data(make, 2), steps_per_epoch=2)
    expected = {0: range(2), 1: range(2, 4), 2: range(4, 5), 3: range(5, 7)}
    assert_seen(fit(x, 4, **options), expected)
    # A new `fit` begins the pass anew.
    assert_seen({1: fit(x, 1, **options)[0]}, {1: range(5, 7)})
