"""Models for inference: equal to the network, with nothing of training in them."""

import keras
import numpy as np
import pytest

import keras_atinet

one_backend = pytest.mark.one_backend
# JAX compiles an initializer for every shape of a kernel.
FILTERS = (8,) * 5 if keras.backend.backend() == "jax" else (4, 6, 8, 10, 12)
SHAPE = (32, 64, 3)
NETWORKS = {
    "atinet_1": keras_atinet.ATINet,
    "atinet_2": keras_atinet.ATINet,
    "atinet_ramp": keras_atinet.ATINet,
    "mtan": keras_atinet.MTAN,
    "padnet": keras_atinet.PADNet,
    "jtrl": keras_atinet.JTRL,
    "split": keras_atinet.Split,
    "single": keras_atinet.SingleTask,
}
LAYERS = {
    "InputLayer",
    "InferenceConv2D",
    "Concatenate",
    "Multiply",
    "Add",
    "Average",
    "Rescaling",
    "InferenceMaxPooling2D",
    "InferenceMaxPooling2DWithArgmax",
    "InferenceMaxUnpooling2D",
    "InferenceBilinearUpSampling2D",
    "InferenceBilinearResizing",
    "ReLU",
    "TaskActivation",
}


def randomize(model):
    """Weights as after training: statistics, negative gammas and biases included."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name == "share":
            continue
        z = random.standard_normal(weight.shape)
        if len(weight.shape) == 4:
            z *= np.sqrt(2 / np.prod(weight.shape[:3]))
        elif weight.name == "moving_variance":
            z = 1 + 0.3 * np.abs(z)
        elif weight.name == "gamma":
            z = np.sign(z) + 0.1 * z
        else:
            z *= 0.1
        weight.assign(z.astype("float32"))
    return model


def make(name, **kwargs):
    tasks = "normal" if name == "single" else ("segmentation", "depth", "normal")
    model = NETWORKS[name](tasks, **{"input_shape": SHAPE, "filters": FILTERS, **kwargs})
    if name.startswith("atinet"):
        model.distillation_share = {"atinet_1": 0, "atinet_2": 1, "atinet_ramp": 0.4}[name]
    return randomize(model)


def images(batch=2, shape=SHAPE):
    return np.random.default_rng(1).random((batch, *shape), dtype="float32")


@pytest.fixture
def predict(apply):
    return lambda model, x: apply(lambda x: model(x, training=False), x)


def assert_equal(outputs, expected, bound=1e-5):
    assert set(outputs) == set(expected)
    for name, output in outputs.items():
        assert output.shape == expected[name].shape
        assert expected[name].std() > 1e-2  # or equality would say nothing
        assert np.abs(output - expected[name]).mean() < bound, name


@pytest.mark.parametrize(
    "name",
    [name if name == "atinet_ramp" else pytest.param(name, marks=one_backend) for name in NETWORKS],
)
def test_outputs_are_those_of_the_network(name, tmp_path, predict):
    model = make(name)
    expected = predict(model, images())
    folded = model.for_inference()
    assert_equal(predict(folded, images()), expected)

    assert {type(layer).__name__ for layer in folded.layers} <= LAYERS
    assert not folded.trainable_variables
    assert all(variable.name in ("kernel", "bias") for variable in folded.variables)
    is_distilled = any("distillation" in layer.name for layer in folded.layers)
    assert is_distilled == (name in ("atinet_2", "atinet_ramp", "padnet"))

    folded.save(tmp_path / "folded.keras")
    loaded = keras.saving.load_model(tmp_path / "folded.keras")
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in folded.layers]
    for one, other in zip(loaded.get_weights(), folded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_compiled_model(predict):
    model = make("split")
    model.compile("adam", balancer="dwa")
    folded = model.for_inference(batch_size=1)
    assert not folded.compiled and folded.input_shape == (1, *SHAPE)
    expected = predict(model, images(1))
    assert_equal(folded.predict(images(1), verbose=0), expected)
    assert_equal(predict(model, images(1)), expected)  # as it was


def test_another_size_and_any_size(predict):
    shape = (64, 32, 3)
    model = make("mtan", filters=(4,) * 5)
    other = model.for_inference(shape)
    assert other.input_shape == (None, *shape)
    outputs = predict(other, images(1, shape))
    assert outputs["depth"].shape == (1, 64, 32, 1)
    if keras.backend.backend() == "jax":
        return
    dynamic = model.for_inference((None, None, 3))
    assert dynamic.output["depth"].shape == (None, None, None, 1)
    assert_equal(predict(dynamic, images(1, shape)), outputs)
    assert_equal(predict(dynamic, images()), predict(model, images()))


def test_mixed_precision_can_become_float32(predict):
    model = make("split", dtype="mixed_bfloat16")
    assert model.for_inference().get_layer("encoder_1_1").compute_dtype == "bfloat16"
    folded = model.for_inference(dtype="float32")
    assert folded.get_layer("encoder_1_1").compute_dtype == "float32"
    expected = predict(make("split", dtype="float32"), images())
    assert_equal(predict(folded, images()), expected)


class Twice(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_a_layer_that_is_not_known_is_copied(predict):
    image = keras.Input(SHAPE, name="image")
    x = Twice(name="twice")(image)
    x = keras.layers.Conv2D(3, 1, name="conv")(x)
    (task,) = keras_atinet.SingleTask("normal", SHAPE, FILTERS).tasks
    model = keras_atinet.MultiTaskModel(image, {"normal": x}, [task], {})
    folded = model.for_inference()
    assert_equal(predict(folded, images()), predict(model, images()))
    assert folded.get_layer("conv") is not model.get_layer("conv")


@pytest.mark.parametrize("shape", [(32, 33, 3), (None, 31, 3), (32, 64), (32, 64, 4)])
def test_sizes_that_do_not_fit(shape):
    model = make("split")
    with pytest.raises(ValueError, match="input_shape"):
        model.for_inference(shape)
