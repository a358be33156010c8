"""Models for inference: equal to the network in each phase, at each size and precision.

Those of every network are in `test_networks.py`.
"""

import keras
import numpy as np
import pytest

from keras_atinet import MTAN, ATINet, MultiTaskModel, SingleTask, Split

one_backend = pytest.mark.one_backend
# JAX compiles an initializer for every shape of a kernel.
FILTERS = (8,) * 5 if keras.backend.backend() == "jax" else (4, 6, 8, 10, 12)
SHAPE = (32, 64, 3)


@pytest.fixture
def make(randomize):
    def make(network, share=None, **options):
        tasks = ("segmentation", "depth", "normal")
        model = network(tasks, **{"input_shape": SHAPE, "filters": FILTERS, **options})
        if share is not None:
            model.distillation_share = share
        return randomize(model)

    return make


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


@one_backend
@pytest.mark.parametrize("share", [0, 1])
def test_the_distillation_is_cut_away_where_it_is_off(share, make, predict):
    model = make(ATINet, share)
    folded = model.for_inference()
    assert_equal(predict(folded, images()), predict(model, images()))
    is_distilled = any("distillation" in layer.name for layer in folded.layers)
    assert is_distilled == (share > 0)


@one_backend
def test_saved_and_loaded(make, tmp_path):
    folded = make(ATINet, 0.4).for_inference()
    folded.save(tmp_path / "folded.keras")
    loaded = keras.saving.load_model(tmp_path / "folded.keras")
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in folded.layers]
    for one, other in zip(loaded.get_weights(), folded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_compiled_model(make, predict):
    model = make(Split)
    model.compile("adam", balancer="dwa")
    folded = model.for_inference(batch_size=1)
    assert not folded.compiled and folded.input_shape == (1, *SHAPE)
    expected = predict(model, images(1))
    assert_equal(folded.predict(images(1), verbose=0), expected)
    assert_equal(predict(model, images(1)), expected)  # as it was


def test_another_size_and_any_size(make, predict):
    shape = (64, 32, 3)
    model = make(MTAN, filters=(4,) * 5)
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


def test_mixed_precision_can_become_float32(make, predict):
    model = make(Split, dtype="mixed_bfloat16")
    assert model.for_inference().get_layer("encoder_1_1").compute_dtype == "bfloat16"
    folded = model.for_inference(dtype="float32")
    assert folded.get_layer("encoder_1_1").compute_dtype == "float32"
    expected = predict(make(Split, dtype="float32"), images())
    assert_equal(predict(folded, images()), expected)


class Twice(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_a_layer_that_is_not_known_is_copied(predict):
    image = keras.Input(SHAPE, name="image")
    x = Twice(name="twice")(image)
    x = keras.layers.Conv2D(3, 1, name="conv")(x)
    (task,) = SingleTask("normal", SHAPE, FILTERS).tasks
    model = MultiTaskModel(image, {"normal": x}, [task], {})
    folded = model.for_inference()
    assert_equal(predict(folded, images()), predict(model, images()))
    assert folded.get_layer("conv") is not model.get_layer("conv")


@pytest.mark.parametrize("shape", [(32, 33, 3), (None, 31, 3), (32, 64), (32, 64, 4)])
def test_sizes_that_do_not_fit(make, shape):
    model = make(Split)
    with pytest.raises(ValueError, match="input_shape"):
        model.for_inference(shape)
