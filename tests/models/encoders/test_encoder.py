import pathlib
import re

import keras
import numpy as np
import pytest

import keras_atinet

SHAPE = (16, 24, 3)
FILTERS = (4,) * 5


def tiny(channels=3, size=(None, None)):
    """Strides 2, 4 and 8, each a convolution and BatchNorm."""
    x = image = keras.Input((*size, channels))
    for stride in (2, 4, 8):
        x = keras.layers.Conv2D(4, 3, 2, padding="same", name=f"conv_{stride}")(x)
        x = keras.layers.BatchNormalization(name=f"norm_{stride}")(x)
        x = keras.layers.ReLU(name=f"relu_{stride}")(x)
    return keras.Model(image, x, name="tiny")


def split(encoder, shape=SHAPE, **options):
    options = {"preprocessing": "unit", **options}
    return keras_atinet.Split("depth", shape, FILTERS, encoder=encoder, **options)


def step(model, optimizer=None):
    model.compile(optimizer or keras.optimizers.SGD(0.1), metrics={})
    random = np.random.default_rng(0)
    shape = (2, *model.input_shape[1:3])
    images = random.random((*shape, model.input_shape[-1]), "float32")
    model.train_on_batch(images, {"depth": random.random((*shape, 1), "float32") + 1})


def arrays(weights):
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


def equal(left, right):
    return [np.array_equal(a, b) for a, b in zip(left, right, strict=True)]


def test_a_model_is_copied_with_its_weights():
    encoder = tiny(size=(64, 64))
    before = encoder.get_weights()
    model, other = split(encoder), split(encoder)
    assert all(equal(model.encoder.get_weights(), before))
    step(model)
    assert not any(equal(arrays(model.encoder.trainable_variables[::4]), before[::6]))
    assert all(equal(encoder.get_weights(), before))
    assert all(equal(other.encoder.get_weights(), before))


def test_frozen_weights_stay_and_are_frozen_in_a_file(tmp_path):
    model = split(tiny(), freeze_encoder=True)
    before = arrays(model.encoder.variables)
    step(model)
    assert all(equal(arrays(model.encoder.variables), before))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.encoder.trainable_variables and loaded.trainable_variables
    assert all(equal(loaded.encoder.get_weights(), model.encoder.get_weights()))


@pytest.mark.one_backend
def test_frozen_batch_norm_leaves_the_convolutions_to_train(tmp_path):
    model = split(tiny(), freeze_batch_norm=True)
    norms = [layer for layer in model.encoder.layers if "norm" in layer.name]
    before = [arrays(layer.variables) for layer in norms]
    kernel = model.encoder.get_layer("conv_2").kernel
    kernel_before = keras.ops.convert_to_numpy(kernel)
    step(model)
    for layer, values in zip(norms, before, strict=True):
        assert all(equal(arrays(layer.variables), values))
    assert (keras.ops.convert_to_numpy(kernel) != kernel_before).any()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    names = [variable.path for variable in loaded.encoder.trainable_variables]
    assert names and not any("norm" in name for name in names)


@pytest.mark.one_backend
def test_layers_that_are_frozen_in_a_model_are_in_its_copy():
    encoder = tiny()
    encoder.get_layer("conv_2").trainable = False
    assert not split(encoder).encoder.get_layer("conv_2").trainable
    assert split(encoder).encoder.get_layer("conv_4").trainable


@pytest.mark.one_backend
def test_the_dtype_of_the_network_is_the_copys():
    model = split(tiny(), dtype="mixed_bfloat16")
    assert model.encoder.get_layer("conv_2").compute_dtype == "bfloat16"
    assert split(tiny()).encoder.get_layer("conv_2").compute_dtype == "float32"


@pytest.mark.one_backend
def test_images_are_brought_to_the_encoders_range():
    encoder = tiny()
    scaled = tiny()
    scaled.set_weights(encoder.get_weights())
    kernel, bias = scaled.get_layer("conv_2").get_weights()
    scaled.get_layer("conv_2").set_weights([255 * kernel, bias])
    images = np.random.default_rng(0).random((1, *SHAPE), "float32")
    models = split(encoder, preprocessing="rgb255"), split(scaled)
    models[1].set_weights(
        [*scaled.get_weights(), *models[0].get_weights()[len(scaled.get_weights()) :]]
    )
    outputs = [model.predict_on_batch(images)["depth"] for model in models]
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-4)


@pytest.mark.one_backend
def test_the_source_has_no_folders(monkeypatch):
    module = "keras_atinet.models.encoders.encoder"
    monkeypatch.setattr(f"{module}.build_encoder", lambda *arguments: tiny())
    for weights, source in ((None, "tiny"), (pathlib.Path("/home/me/a.h5"), "tiny, a.h5")):
        model = split("tiny", encoder_weights=weights)
        assert model.get_config()["encoder"]["config"]["source"] == source


@pytest.mark.one_backend
def test_a_whole_network_is_no_encoder():
    with pytest.raises(ValueError, match=r"without a decoder.*a Split.*`load_matching_weights`"):
        split(split(tiny()))


@pytest.mark.one_backend
def test_more_channels_and_a_size_that_no_stride_divides():
    model = split(tiny(channels=4), (19, 27, 4))
    assert model.output["depth"].shape == (None, 19, 27, 1)
    step(model)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"encoder": None, "encoder_weights": "imagenet"}, "`encoder_weights` is for"),
        ({"encoder": None, "freeze_encoder": True}, "`freeze_encoder` is for"),
        ({"encoder": None, "decoder": "unet"}, "`decoder` of `Split`"),
        ({"encoder": tiny, "encoder_weights": "imagenet"}, "a model has its weights"),
        ({"encoder": tiny, "freeze_encoder": -1}, "number of epochs"),
        ({"encoder": tiny, "freeze_encoder": 0.5}, "number of epochs"),
        ({"encoder": tiny, "deep": True}, "`deep` of `Split`"),
        ({"encoder": tiny, "input_shape": (16, 16, 4)}, "images of 3 channels"),
        ({"encoder": tiny, "decoder": "fpn"}, "must be one of"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    arguments = {"input_shape": (32, 32, 3), "filters": FILTERS, **arguments}
    if arguments["encoder"] is tiny:
        arguments |= {"encoder": tiny(), "preprocessing": "unit"}
    with pytest.raises(ValueError, match=message):
        keras_atinet.Split("depth", **arguments)


@pytest.mark.one_backend
def test_four_channels_as_the_guide_has_it():
    guide = pathlib.Path(__file__).parents[3] / "docs/encoders.md"
    if not guide.is_file():
        pytest.skip("the docs are not here")
    pattern = r"<!-- tested: four channels -->\n```python\n(.*?)```"
    (code,) = re.findall(pattern, guide.read_text(encoding="utf-8"), re.DOTALL)
    names = {"keras": keras, "keras_atinet": keras_atinet, "np": np}
    exec(code, names)
    kernel = names["model"].encoder.get_layer("Conv1").get_weights()[0]
    np.testing.assert_allclose(kernel[:, :, 3], kernel[:, :, :3].mean(axis=2), atol=1e-6)


@pytest.mark.one_backend
def test_an_unknown_argument_is_named():
    with pytest.raises(TypeError, match="fillters"):
        keras_atinet.ATINet(fillters=(4,) * 5)


@pytest.mark.one_backend
@pytest.mark.parametrize("nested", [False, True])
def test_layers_that_move_images_and_not_targets_are_refused(nested):
    moving = keras.layers.RandomFlip("horizontal")
    if nested:
        moving = keras.Sequential([keras.Input((None, None, 3)), moving])
    with pytest.raises(ValueError, match="RandomFlip"):
        split(tiny(), preprocessing=moving)
