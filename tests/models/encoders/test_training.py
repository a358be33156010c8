"""`Split` on encoders of `keras.applications`: a step, a file, the levels found by name."""

import keras
import numpy as np
import pytest

import keras_atinet

one_backend = pytest.mark.one_backend
# The smallest images that each takes; of Inception and Xception no stride divides them.
SIZES = {
    "mobilenet_v2": (32, 32),
    "vgg16": (32, 32),
    "resnet50": (32, 48),
    "resnet50_v2": (32, 32),
    "mobilenet_v3_large": (32, 32),
    "convnext_tiny": (32, 32),
    "efficientnet_v2_b0": (32, 32),
    "densenet121": (32, 32),
    "inception_v3": (75, 75),
    "xception": (75, 80),
}
# All on PyTorch, two of them on TensorFlow and JAX, which trace and compile for long.
ENCODERS = [
    *list(SIZES)[:2],
    *(pytest.param(name, marks=one_backend) for name in list(SIZES)[2:]),
]


@pytest.mark.parametrize("name", ENCODERS)
def test_split_on_an_encoder_of_keras_applications(name, tmp_path):
    keras.utils.set_random_seed(0)
    shape = (*SIZES[name], 3)
    model = keras_atinet.Split({"segmentation": 3, "depth": 1}, shape, (4,) * 5, encoder=name)
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
    predictions = model.predict_on_batch(images)
    for task, prediction in loaded.predict_on_batch(images).items():
        assert prediction.shape[1:3] == shape[:2]
        np.testing.assert_allclose(prediction, predictions[task], atol=1e-6)
