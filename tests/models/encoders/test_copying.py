"""What a network's encoder is: a copy, for its image size, with the images as it wants them."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_atinet import Split, encoder_levels
from keras_atinet.models.encoders.encoder import as_encoder
from keras_atinet.models.matching_weights import load_matching_weights


def small(channels=3, size=None, name="small"):
    """Strides 2 and 4, with models within, as ConvNeXt has them."""
    image = keras.Input((size, size, channels))
    scaling = layers.Normalization(name="scaling")
    scaling.adapt(np.arange(6 * channels, dtype="float32").reshape(1, 2, 3, channels))
    x = layers.Conv2D(4, 3, 2, name="stem")(scaling(image))
    down = keras.Sequential([layers.BatchNormalization(), layers.Conv2D(6, 2, 2)], name="down")
    inner = keras.Input(x.shape[1:])
    side = keras.Model(inner, layers.Conv2D(6, 2, 2)(inner), name="side")
    x = layers.Add(name="sum")([down(x), side(x)])
    return keras.Model(image, x, name=name)


def levels_of(encoder, input_shape):
    image = keras.Input(input_shape)
    return keras.Model(image, [level.last for level in encoder(image)])


def test_a_model_is_copied_with_its_weights_at_another_size():
    model, x = small(size=33), np.random.default_rng(0).random((1, 33, 33, 3), "float32")
    expected = keras.ops.convert_to_numpy(model(x))
    encoder = as_encoder(model, (33, 33, 3), preprocessing="unit")
    outputs = levels_of(encoder, (33, 33, 3))(x)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(outputs[-1]), expected)

    encoder.model.set_weights([0 * weight for weight in encoder.model.get_weights()])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(x)), expected)
    other = as_encoder(model, (48, 64, 3), preprocessing="unit")
    assert other.model.outputs[-1].shape == (None, 11, 15, 6)
    assert [level.stride for level in encoder_levels(model)] == [2, 4] == list(other.strides)


def test_an_adapted_normalization_works_with_the_mean_that_it_takes():
    def model(values):
        image, layer = keras.Input((1, 2, 1)), keras.layers.Normalization(name="scaling")
        layer.adapt(np.array(values, "float32").reshape(1, 1, 2, 1))
        return keras.Model(image, layer(image))

    new, old = model([0, 1]), model([5, 9])
    load_matching_weights(new, old)
    x = np.array([[[[5.0], [9.0]]]], "float32")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(new(x)).ravel(), [-1, 1], atol=1e-5)


@pytest.mark.one_backend
def test_the_dtype_reaches_layers_of_models_within():
    encoder = as_encoder(small(), (32, 32, 3), dtype="mixed_bfloat16", preprocessing="unit")
    down = encoder.model.get_layer("down")
    assert {layer.compute_dtype for layer in down.layers} == {"bfloat16"}


@pytest.mark.one_backend
def test_four_bands():
    split = {"tasks": ("depth",), "input_shape": (32, 32, 4), "filters": (4,) * 5}
    with pytest.raises(ValueError, match=r"'small' takes images of 3 channels.*32, 4\).*Conv2D"):
        Split(**split, encoder=small(), preprocessing="unit")
    for encoder in (
        {"encoder": small(4), "preprocessing": "unit"},
        {"encoder": small(3), "preprocessing": layers.Conv2D(3, 1)},
    ):
        model = Split(**split, **encoder)
        assert model(np.zeros((1, 32, 32, 4), "float32"))["depth"].shape == (1, 32, 32, 1)


@pytest.mark.one_backend
def test_a_size_too_small():
    with pytest.raises(ValueError, match=r"'small' cannot be built for images of this size.*3, 3"):
        as_encoder(small(), (3, 3, 3), preprocessing="unit")


@pytest.mark.one_backend
def test_layers_of_ones_own_are_copied_by_name_or_named_in_the_error():
    class Halving(layers.Layer):
        def __init__(self, filters, **kwargs):
            super().__init__(**kwargs)
            self.conv = layers.Conv2D(filters, 3, 2, "same")

        def call(self, inputs):
            return self.conv(inputs)

    class Nameless(Halving):
        def __init__(self, filters):
            super().__init__(filters)

    def model(layer):
        image = keras.Input((None, None, 3))
        first = layer(2)
        return keras.Model(image, layer(3)(first(image)))

    encoder = as_encoder(model(Halving), (20, 24, 3), preprocessing="unit")
    assert [level.names[0] for level in encoder.levels] == ["halving", "halving_1"]
    with pytest.raises(ValueError, match=r"'nameless' .*cannot be copied.*a Nameless \(TypeError"):
        as_encoder(model(Nameless), (20, 24, 3), preprocessing="unit")
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(2, 3, 2, "same")(layers.Conv2D(2, 3, 2, "same")(image))
    function = keras.Model(image, layers.Lambda(lambda x: x, name="twice")(x))
    with pytest.raises(ValueError, match=r"'twice' .*a Lambda \(ValueError: .*use Keras's layers"):
        as_encoder(function, (20, 24, 3), preprocessing="unit")
