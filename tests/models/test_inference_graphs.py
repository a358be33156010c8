"""Models for inference of any functional graph: what is folded into what, and what is copied."""

import keras
import numpy as np
import pytest

from keras_atinet.layers.batch_normalization import BatchNormalization
from keras_atinet.layers.convolution import Conv2D
from keras_atinet.models.inference import for_inference

pytestmark = pytest.mark.one_backend
layers = keras.layers
SHAPE = (8, 12, 3)


def randomize(model):
    """Weights as after training: statistics and negative gammas included."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        z = random.standard_normal(weight.shape)
        if weight.name == "moving_variance":
            z = 0.5 + abs(z)
        elif len(weight.shape) > 1:
            z /= np.sqrt(np.prod(weight.shape[:-1]))
        weight.assign(z.astype("float32"))
    return model


def norm(x, **kwargs):
    return layers.BatchNormalization(**kwargs)(x)


def kinds(model):
    return [type(layer).__name__ for layer in model.operations]


def assert_equal(model, folded):
    x = keras.ops.convert_to_tensor(np.random.default_rng(1).random((2, *SHAPE), "float32"))
    outputs, expected = (f(x, training=False) for f in (folded, model))
    for name, value in expected.items():
        output, value = map(keras.ops.convert_to_numpy, (outputs[name], value))
        assert value.std() > 0.05  # or equality would say nothing
        np.testing.assert_allclose(output, value, rtol=1e-5, atol=1e-5)


def test_batch_norm_is_folded_into_each_kind_of_convolution():
    image = keras.Input(SHAPE)
    x = norm(layers.Conv2D(6, (3, 2), 2, padding="same", groups=3, use_bias=False)(image))
    x = norm(layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x), scale=False)
    x = norm(layers.SeparableConv2D(5, 3, depth_multiplier=2, padding="same")(x), center=False)
    x = norm(layers.Conv2DTranspose(4, 3, 2, use_bias=False)(x), epsilon=0.1)
    x = norm(Conv2D(7, 3)(x))
    x = BatchNormalization()(layers.Conv2D(4, 1, activation="linear")(x))
    y = norm(layers.Dense(3)(layers.Flatten()(x)))
    z = norm(layers.Conv1D(3, 3)(layers.Reshape((-1, 4))(x)))
    model = randomize(keras.Model(image, {"y": y, "z": z}))
    folded = for_inference(model)
    assert "BatchNormalization" not in kinds(folded)
    assert_equal(model, folded)


def test_what_is_no_convolution_and_batch_norm_is_copied():
    image = keras.Input(SHAPE)
    conv = layers.Conv2D(3, 3, padding="same", name="shared")
    shared = layers.Add()([norm(conv(image), name="a"), norm(conv(-image), name="b")])
    read_twice = layers.Conv2D(3, 1)(image)
    again = norm(read_twice, name="c") + read_twice
    active = norm(layers.Conv2D(3, 1, activation="relu")(image), name="d")
    rows = norm(layers.Conv2D(3, 1)(image), axis=1, name="e")
    as_trained = layers.BatchNormalization(name="f")(layers.Conv2D(3, 1)(image), training=True)
    first = norm(layers.Conv2D(3, 1)(layers.ReLU()(norm(image, name="g"))), name="folded")
    padded = norm(layers.ZeroPadding2D()(layers.Conv2D(3, 1)(image)), name="h")
    given = layers.Conv2D(3, 1)(image)
    outputs = [shared, again, active, rows, as_trained, first, padded, given, norm(given, name="i")]
    model = randomize(keras.Model(image, dict(zip("abcdefghi", outputs, strict=True))))
    folded = for_inference(model)
    norms = [layer.name for layer in folded.layers if "BatchNorm" in type(layer).__name__]
    assert sorted(norms) == list("abcdefghi")
    assert_equal(model, folded)


def test_models_within_become_part_of_the_graph():
    image = keras.Input(SHAPE, name="image")
    inner = keras.Input((None, None, 3))
    x = layers.Dropout(0.5)(norm(layers.Conv2D(3, 3, name="head")(inner), name="norm"))
    features = keras.Model(inner, [x, 2 * layers.MaxPooling2D()(x)], name="encoder")
    block = keras.Sequential([layers.Conv2D(4, 1), layers.BatchNormalization()], name="block")
    first, second = features(image)
    other, _ = features(image[:, ::2, ::2], training=False)  # the same weights at another size
    x = layers.Conv2D(2, 1, name="head")(block(second))
    model = randomize(keras.Model(image, {"head": x, "other": other, "first": first}))
    folded = for_inference(model)
    assert sorted(set(kinds(folded)) - {"InputLayer", "GetItem", "Multiply"}) == [
        "Conv2D",
        "InferenceConv2D",
        "InferenceMaxPooling2D",
    ]
    assert folded.get_layer("head").filters == 2 and folded.get_layer("encoder_head").filters == 3
    assert_equal(model, folded)
    # Any size that the layers take, in the precision that is asked for.
    assert_equal(model, for_inference(model, (None, None, 3)))
    half = for_inference(model, (9, 17, 3), dtype="mixed_bfloat16")
    assert half.get_layer("encoder_head").compute_dtype == "bfloat16"
    assert half.output["head"].shape == (None, 3, 7, 2)
    # A model that is called as in training is copied whole.
    trained = keras.Model(image, {"first": features(image, training=True)[1]})
    assert "Functional" in kinds(for_inference(trained))


def test_a_size_that_a_layer_does_not_take():
    image = keras.Input(SHAPE)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(image)))
    with pytest.raises(ValueError, match=r"images of \(8, 16, 3\): .* built for, \(8, 12, 3\)"):
        for_inference(model, (8, 16, 3))
