"""What arrives in `fit`, epoch by epoch."""

import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet.data import Batches, Source, pipeline
from keras_atinet.data.batching.sampler import Sampler

try:
    import tensorflow as tf
except ImportError:
    tf = None
ADAPTERS = [
    pytest.param(pipeline, marks=pytest.mark.skipif(tf is None, reason="no TensorFlow"), id="tf"),
    pytest.param(Batches, id="PyDataset"),
]
BATCH = 2


class Shades(Source):
    """Grey pictures, each of its own shade."""

    split, image_size, tasks = "train", (2, 2), {"depth": {"kind": "depth"}}

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        image = np.full((2, 2, 3), 2.0**index, "float32")
        return {"image": image, "depth": np.ones((2, 2, 1), "float32")}


def brighten(sample, rng):
    return {**sample, "image": sample["image"] * rng.uniform(1, 1.3)}


def mean_image(y_true, y_pred):
    return y_pred


class Recorder(keras.callbacks.Callback):
    """The mean image of every batch, from the running mean that `fit` logs."""

    def on_epoch_begin(self, epoch, logs=None):
        self.sums, self.epoch = [0.0], epoch

    def on_train_batch_end(self, batch, logs=None):
        self.sums.append(float(logs["mean_image"]) * (batch + 1))

    def on_epoch_end(self, epoch, logs=None):
        self.model.recorded[epoch] = np.diff(self.sums)


def fit(data, epochs, initial_epoch=0, **kwargs):
    """Returns dict, epoch -> mean of every batch that a new model was trained on."""
    inputs = keras.Input((2, 2, 3))
    mean = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1 / 3))(inputs)
    model = keras.Model(inputs, {"depth": mean})
    metric = keras.metrics.MeanMetricWrapper(mean_image, name="mean_image")
    model.compile(keras.optimizers.SGD(0.0), loss={"depth": "mse"}, metrics={"depth": [metric]})
    model.recorded = {}
    callbacks = [Recorder(), *kwargs.pop("callbacks", [])]
    options = dict(shuffle=False, verbose=0, callbacks=callbacks, **kwargs)
    model.fit(data, epochs=epochs, initial_epoch=initial_epoch, **options)
    return model.recorded


def expected(length, epoch, seed):
    sampler = Sampler(Shades(length), None, None, BATCH, None, brighten, True, seed)
    return [sampler.batch(epoch, number)[0].mean() for number in range(len(sampler))]


@pytest.mark.parametrize("make", ADAPTERS)
def test_fit_gets_the_epochs_in_order(make):
    data = make(Shades(12), batch_size=BATCH, augment=brighten, shuffle=True, seed=7)
    validation = make(Shades(4), batch_size=BATCH)
    recorded = fit(data, epochs=3, validation_data=validation)
    epochs = [expected(12, epoch, seed=7) for epoch in range(4)]
    for epoch in range(3):
        np.testing.assert_allclose(recorded[epoch], epochs[epoch], rtol=1e-3)
    assert not np.allclose(epochs[0], epochs[1], rtol=1e-3)
    # The next `fit` goes on.
    np.testing.assert_allclose(fit(data, epochs=1)[0], epochs[3], rtol=1e-3)


@pytest.mark.parametrize("make", ADAPTERS)
def test_a_resumed_fit_gets_what_an_undisturbed_one_does(make):
    options = dict(batch_size=BATCH, augment=brighten, shuffle=True, seed=1)
    resumed = make(Shades(12), first_epoch=2, **options)
    recorded = fit(resumed, epochs=4, initial_epoch=2)
    assert list(recorded) == [2, 3]
    for epoch, batches in recorded.items():
        np.testing.assert_allclose(batches, expected(12, epoch, seed=1), rtol=1e-3)


@pytest.mark.parametrize("make", ADAPTERS)
@pytest.mark.parametrize("length", [2, 4])
def test_a_look_at_tiny_data_is_no_epoch(make, length, recwarn):
    # Keras may take all of it for a look.
    inputs = keras.Input((2, 2, 3))
    outputs = {"depth": keras.layers.Conv2D(1, 1)(inputs)}
    model = keras_atinet.MultiTaskModel(inputs, outputs, [keras_atinet.DepthEstimation()], {})
    model.compile(keras.optimizers.SGD(0.0))
    seen = []

    def see(sample, rng):
        seen.append(rng.random())
        return sample

    data = make(Shades(length), batch_size=BATCH, augment=see, first_epoch=3)
    model.fit(data, epochs=2, verbose=0)
    assert data.epochs.next == 5
    # `fit` shuffles by default, which it could not do here.
    assert not [warning for warning in recwarn if "shuffle" in str(warning.message)]
    for epoch in (3, 4):
        assert {np.random.default_rng((0, epoch, i)).random() for i in range(length)} <= {*seen}
    assert np.random.default_rng((0, 5, 0)).random() not in seen
