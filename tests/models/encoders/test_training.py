"""`Split` on encoders of `keras.applications`: a step, a file, the levels found by name."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_atinet

one_backend = pytest.mark.one_backend
# The smallest images that each takes; of Inception and Xception no stride divides them.
SIZES = {
    "vgg16": (32, 32),
    "convnext_tiny": (32, 32),
    "resnet50": (32, 48),
    "resnet50_v2": (32, 32),
    "mobilenet_v2": (32, 32),
    "mobilenet_v3_large": (32, 32),
    "efficientnet_v2_b0": (32, 32),
    "densenet121": (32, 32),
    "inception_v3": (75, 75),
    "xception": (75, 80),
}


@one_backend  # by name they are the same on all; others take them long to trace and to compile
@pytest.mark.parametrize("name", SIZES)
def test_split_on_an_encoder_of_keras_applications(name, tmp_path):
    check_training((*SIZES[name], 3), tmp_path, encoder=name)


def test_split_on_what_a_convnext_is_made_of(tmp_path):
    """Models within, a group for each channel, LayerNorm, GELU, and paths dropped by a seed."""
    image = keras.Input((None, None, 3))
    first = [layers.Conv2D(4, 4, 4), layers.LayerNormalization()]
    second = [layers.LayerNormalization(), layers.Conv2D(8, 2, 2)]
    x = convnext_block(keras.Sequential(first, name="stem")(image), name="stage_1")
    x = convnext_block(keras.Sequential(second, name="downsampling")(x), name="stage_2")
    encoder = {"encoder": keras.Model(image, x), "preprocessing": "unit"}
    check_training((32, 32, 3), tmp_path, **encoder)


def convnext_block(x, name):
    width = x.shape[-1]
    y = layers.LayerNormalization()(layers.DepthwiseConv2D(7, padding="same")(x))
    y = layers.Dense(width)(layers.Activation("gelu")(layers.Dense(4 * width)(y)))
    return layers.Add(name=name)([x, layers.Dropout(0.5, (None, 1, 1, 1))(y)])


def check_training(shape, tmp_path, **encoder):
    keras.utils.set_random_seed(0)
    model = keras_atinet.Split({"segmentation": 3, "depth": 1}, shape, (4,) * 5, **encoder)
    found = [level.names for level in keras_atinet.encoder_levels(model)]
    model.compile(keras.optimizers.SGD(0.01), metrics={})
    random = np.random.default_rng(0)
    images = random.random((2, *shape), "float32")
    targets = {
        "segmentation": random.integers(0, 3, (2, *shape[:2])),
        "depth": random.random((2, *shape[:2], 1), "float32") + 1,
    }
    kernels = [v for v in model.encoder.trainable_variables if v.name == "kernel"]
    before = keras.ops.convert_to_numpy(kernels[0])
    logs = model.train_on_batch(images, targets, return_dict=True)
    assert np.isfinite(logs["loss"])
    assert (keras.ops.convert_to_numpy(kernels[0]) != before).any()

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [level.names for level in keras_atinet.encoder_levels(loaded)] == found
    assert loaded.output["depth"].shape[1:3] == shape[:2]
    for weight, original in zip(loaded.weights, model.weights, strict=True):
        values = [keras.ops.convert_to_numpy(w) for w in (weight, original)]
        np.testing.assert_array_equal(*values)
