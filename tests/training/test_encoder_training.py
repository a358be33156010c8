"""An encoder that is frozen for some epochs, or trains at a rate of its own."""

import keras
import numpy as np
import pytest

from keras_atinet import MultiTaskModel
from keras_atinet.layers import ConvBlock
from keras_atinet.models.heads import prediction_heads
from keras_atinet.tasks import standardize_tasks

FILTERS = (4, 4, 4, 4, 4)


@keras.saving.register_keras_serializable(package="tests")
class Part:
    """What a network asks of its encoder to train it."""

    def __init__(self, model, frozen_epochs=0):
        self.model = model
        self.frozen_epochs = frozen_epochs

    def get_config(self):
        model = keras.saving.serialize_keras_object(self.model)
        return {"model": model, "frozen_epochs": self.frozen_epochs}

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


@keras.saving.register_keras_serializable(package="tests")
class OnEncoder(MultiTaskModel):
    """One convolution on an encoder of one, for speed."""

    def __init__(self, tasks, input_shape, filters, dtype=None, name="small", encoder=None):
        tasks = standardize_tasks(tasks)
        image = keras.Input(input_shape, name="image")
        if not isinstance(encoder, Part):
            x = keras.layers.Conv2D(3, 3, padding="same", dtype=dtype)(image)
            encoder = Part(keras.Model(image, x, name="encoder"), encoder or 0)
        x = ConvBlock(filters[0], dtype=dtype, name="block")(encoder.model(image))
        outputs = prediction_heads({task.name: x for task in tasks}, tasks, filters, dtype=dtype)
        config = {"input_shape": input_shape, "filters": filters, "encoder": encoder}
        super().__init__(image, outputs, tasks, config, [x], dtype=dtype, name=name)


@pytest.fixture
def frozen(make):
    def frozen(epochs=0, **arguments):
        arguments = {"tasks": ("depth",), "metrics": {}, **arguments}
        return make(lambda **options: OnEncoder(encoder=epochs, **options), **arguments)

    return frozen


class Watch(keras.callbacks.Callback):
    """Notes in which epochs the encoder and the rest have changed."""

    def __init__(self):
        super().__init__()
        self.encoder, self.rest = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self._before = self._values()

    def on_epoch_end(self, epoch, logs=None):
        pairs = zip(self._before, self._values(), strict=True)
        changed = [not np.array_equal(old, new) for old, new in pairs]
        for name, value in zip(("encoder", "rest"), changed, strict=True):
            if value:
                getattr(self, name).append(epoch)

    def _values(self):
        layers = self.model.get_layer("encoder"), self.model.get_layer("block")
        return [np.concatenate([w.ravel() for w in layer.get_weights()]) for layer in layers]


def test_an_encoder_is_frozen_for_some_epochs(frozen, batch, tmp_path, capsys):
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=0.1)
    model, watch = frozen(2, optimizer=optimizer, run_eagerly=False), Watch()
    save = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    model.fit(images, targets, epochs=4, verbose=2, shuffle=False, callbacks=[watch, save])
    assert watch.encoder == [2, 3] and watch.rest == [0, 1, 2, 3]
    assert model.frozen_encoder_epochs == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "encoder" in line]
    assert lines == ["The encoder trains from epoch 3 on."]

    # From a file, and over several `fit`, the count goes on.
    model, watch = keras.saving.load_model(tmp_path / "1.keras"), Watch()
    assert model.frozen_encoder_epochs == 1
    for epoch in (1, 2):
        options = {"initial_epoch": epoch, "epochs": epoch + 1, "shuffle": False}
        model.fit(images, targets, callbacks=[watch], verbose=0, **options)
    assert watch.encoder == [2]
    expected = keras.saving.load_model(tmp_path / "3.keras")
    for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_encoder_trains_at_its_own_rate(frozen, batch, values):
    """As two optimizers of Keras would train the parts."""
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    model = frozen(optimizer=keras.optimizers.SGD(0.1), encoder_lr_multiplier=0.25)
    plain = frozen(optimizer=keras.optimizers.SGD(0.1))
    plain.set_weights(model.get_weights())
    start = values(model.trainable_variables)
    for network in (model, plain):
        network.train_on_batch(images, targets)
    encoder = {id(variable) for variable in model.encoder.variables}
    factors = [0.25 if id(v) in encoder else 1.0 for v in model.trainable_variables]
    one, other = values(model.trainable_variables), values(plain.trainable_variables)
    assert any(not np.array_equal(a, b) for a, b in zip(start, other, strict=True))
    for before, slow, fast, factor in zip(start, one, other, factors, strict=True):
        np.testing.assert_allclose(slow - before, factor * (fast - before), atol=1e-6)
    assert model.get_compile_config()["encoder_lr_multiplier"] == 0.25


@pytest.mark.one_backend
def test_what_cannot_be_is_refused(make, frozen):
    with pytest.raises(ValueError, match="for a network with an `encoder`"):
        make(encoder_lr_multiplier=0.1)
    with pytest.raises(ValueError, match="one multiplier"):
        frozen(encoder_lr_multiplier=0.1, learning_rate_multipliers={"encoder": 0.1})
    with pytest.raises(ValueError, match="made with"):
        frozen().frozen_encoder_epochs = 2
    model = frozen(2)
    with pytest.raises(ValueError, match="int not below 0"):
        model.frozen_encoder_epochs = -1
    model.encoder.trainable = False
    with pytest.warns(UserWarning, match="has no effect"):
        model.compile(encoder_lr_multiplier=0.1)
