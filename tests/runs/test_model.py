import shutil

import keras
import numpy as np
import pytest

from keras_atinet import runs
from keras_atinet.layers import ConvBlock
from keras_atinet.runs.model import get_optimizer


def test_weight_decay_leaves_biases_and_normalization_alone():
    optimizer = get_optimizer({**runs.DEFAULT, "weight_decay": 0.5, "learning_rate": 0.1})
    layer = ConvBlock(2)
    layer.build((1, 4, 4, 3))
    variables = layer.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape, "float32"))
    optimizer.build(variables)
    optimizer.apply([keras.ops.zeros(variable.shape) for variable in variables])
    values = {v.name: float(keras.ops.convert_to_numpy(v).mean()) for v in variables}
    expected = {"kernel": 0.95, "bias": 1, "gamma": 1, "beta": 1}
    assert values == pytest.approx(expected, rel=1e-6)


@pytest.mark.backend_free
def test_without_options_it_is_plain_adam():
    optimizer = get_optimizer(runs.DEFAULT)
    assert type(optimizer).__name__ == "Adam" and optimizer.weight_decay is None
    assert optimizer.gradient_accumulation_steps is None
    assert get_optimizer({**runs.DEFAULT, "accumulate": 4}).gradient_accumulation_steps == 4


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory):
    image = keras.Input((16, 16, 3), name="picture")
    x = keras.layers.Rescaling(2, -1)(image)
    for number, stride in enumerate((2, 4)):
        x = keras.layers.Conv2D(stride, 3, 2, "same", activation="relu", name=f"conv_{number}")(x)
    path = tmp_path_factory.mktemp("encoder") / "own.keras"
    keras.Model(image, x, name="own").save(path)
    return path


def of_encoder(file, **settings):
    tiny = {"model": "split", "image_size": [20, 24], "filters": [2] * 5, "encoder": str(file)}
    return {**runs.DEFAULT, **tiny, **settings}


@pytest.mark.one_backend
def test_the_encoder_of_a_file(encoder_file):
    model = runs.get_model(of_encoder(encoder_file, encoder_lr=0.1), ["depth"])
    names = ("conv_0", "conv_1")
    own = keras.saving.load_model(encoder_file)
    for name in names:
        ours, theirs = (part.get_layer(name).get_weights() for part in (model.encoder, own))
        np.testing.assert_array_equal(ours[0], theirs[0])
    assert model.get_compile_config()["encoder_lr_multiplier"] == 0.1
    facts = runs.encoder_facts(model)
    assert facts["encoder"] == "own; 132 parameters, trained at 0.1 of the learning rate"
    assert facts["levels"] == "stride 2: conv_0 (2 channels); stride 4: conv_1 (4 channels)"
    assert facts["preprocessing"] == "none, RGB in [0, 1]"


@pytest.mark.one_backend
def test_an_encoder_that_is_frozen(encoder_file):
    def model(epochs):
        return runs.get_model(of_encoder(encoder_file, epochs=5, freeze_encoder=epochs), ["depth"])

    facts = [runs.encoder_facts(model(epochs))["encoder"] for epochs in (4, 5)]
    assert facts[0].endswith("frozen for 4 more epochs") and facts[1].endswith(", frozen")
    assert runs.encoder_facts(runs.get_model({**runs.DEFAULT, "filters": [2] * 5}, ["depth"])) == {}


@pytest.mark.one_backend
def test_a_whole_network_is_no_encoder(encoder_file, tmp_path):
    runs.get_model(of_encoder(encoder_file), ["depth"]).save(tmp_path / "whole.keras")
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"model is damaged\. Received: .*damaged\.keras"):
        runs.get_model(of_encoder(damaged), ["depth"])
    with pytest.raises(ValueError, match=r"without a decoder.*a Split.*`--weights`"):
        runs.get_model(of_encoder(tmp_path / "whole.keras"), ["depth"])


@pytest.mark.one_backend
def test_a_network_on_an_encoder_built_here_is_loaded(tmp_path):
    model = runs.get_model(of_encoder("mobilenet_v2", filters=[1] * 5), ["depth"])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.one_backend
def test_a_run_resumes_without_what_its_encoder_was_made_from(encoder_file, tmp_path):
    file = shutil.copy(encoder_file, tmp_path / "own.keras")
    settings = of_encoder(file, epochs=2, num_samples=4, batch_size=4, freeze_encoder=1)
    run = runs.Run(tmp_path / "run")

    def stop(epoch, logs):
        if epoch:
            raise KeyboardInterrupt

    def train(*callbacks):
        runs.train(run, settings, "", verbose=0, report=lambda line: None, callbacks=callbacks)

    with pytest.raises(KeyboardInterrupt):
        train(keras.callbacks.LambdaCallback(on_epoch_begin=stop))
    file.unlink()
    before = keras.saving.load_model(run.last).encoder.get_weights()
    assert run.saved_encoder().source == "own"
    train()
    assert [int(row["epoch"]) for row in run.rows()] == [0, 1]
    after = keras.saving.load_model(run.last).encoder.get_weights()
    assert all((one != other).any() for one, other in zip(before, after, strict=True))
    with pytest.raises(FileNotFoundError, match="no such `encoder`"):
        runs.train(runs.Run(tmp_path / "new"), settings, "", verbose=0)
