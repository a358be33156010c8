"""Encoders by name: those built here and those of `keras.applications`."""

import contextlib
import difflib
import re
import warnings

import keras

from keras_atinet.models.encoders.efficientnet_lite import VARIANTS, efficientnet_lite
from keras_atinet.models.encoders.mobilenet_v2 import mobilenet_v2
from keras_atinet.models.encoders.weights import find_weights, load_encoder_weights, report

_OWN = {**dict.fromkeys(VARIANTS, efficientnet_lite), "mobilenet_v2": mobilenet_v2}


def build_encoder(name, input_shape, dtype=None, weights=None, partial=False):
    """An encoder by its name, as `encoder=` of the networks takes it.

    Those of `keras.applications` (`"resnet50"`, `"convnext_tiny"`, `"efficientnet_v2_b0"`, ...) are
    Keras's, except for `"mobilenet_v2"`, which has the padding and epsilon of PyTorch's. Built here
    are `"efficientnet_lite0"`, `"efficientnet_lite1"` and `"efficientnet_lite2"`.

    Args:
        name: str, see above; an error names those that are near.
        input_shape: `(height, width, channels)`, height and width int or None.
        dtype: dtype policy of the layers.
        weights: None for random ones; `"imagenet"`, from an installed package, or for a network
            of `keras.applications` downloaded by Keras unless it was before; or the path of a
            `.weights.h5`, `.h5` or `.keras` file of Keras or a `.pt` or `.pth` file of PyTorch.
        partial: bool, whether weights may be loaded that fit a part of the encoder only.

    Returns:
        Functional `keras.Model` without a classifier, from a normalized image to the last features.

    Raises:
        ValueError: if the name is unknown or the weights do not fit.
        ImportError: if the package with the weights is not installed.
        FileNotFoundError: if there is no such file, or none could be downloaded.

    Example:
        >>> encoder = keras_atinet.build_encoder("resnet50", (96, 128, 4))
        >>> model = keras_atinet.Split(
        ...     input_shape=(96, 128, 4), encoder=encoder, preprocessing="unit"
        ... )
    """
    check_encoder(name, weights)
    if name in _OWN:
        model = _OWN[name](name, input_shape, dtype)
    else:
        with _dtype_policy(dtype):
            model = _application(name, input_shape, weights)
        if weights == "imagenet":
            report(name, len(model.weights), model, "keras.applications")
            return model
    if weights is not None:
        if re.fullmatch(r"efficientnet_b\d", name):
            warnings.warn(
                f"Keras scales the input of `{name}` in another way where it is built with "
                "weights='imagenet'. If this file holds those weights, put it into "
                "~/.keras/models and use 'imagenet'.",
                stacklevel=2,
            )
        load_encoder_weights(model, name, weights, partial)
    return model


def check_encoder(name, weights=None):
    """Refuses a name or weights that `build_encoder` would refuse, before anything is built.

    Whether weights fit, and whether Keras can download its own, shows only then.

    Raises:
        ValueError, ImportError, FileNotFoundError: as `build_encoder`.
    """
    names = encoder_names()
    if name not in names:
        near = difflib.get_close_matches(str(name).lower(), names, 3, 0.5)
        raise ValueError(
            "An encoder is a name or a functional `keras.Model`. "
            f"Received: {name!r}. {'Near' if near else 'Names'}: {', '.join(near or names)}."
        )
    if weights is not None and (name in _OWN or weights != "imagenet"):
        find_weights(name, weights)


def encoder_names():
    """The names that `build_encoder` takes, sorted."""
    return sorted({*_OWN, *_applications()})


def _applications():
    """Functions of `keras.applications` by their names in snake case."""
    return {
        _snake_case(name): getattr(keras.applications, name)
        for name in dir(keras.applications)
        if name[0].isupper()
    }


def _snake_case(name):
    """`mobilenet_v3_large` for "MobileNetV3Large", `nasnet_large` for "NASNetLarge"."""
    name = re.sub("Net|NeXt", lambda match: match[0].lower(), name)
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _application(name, input_shape, weights):
    function = _applications()[name]
    if weights != "imagenet":
        return function(include_top=False, weights=None, input_shape=tuple(input_shape))
    if input_shape[-1] != 3:
        raise ValueError(
            f"ImageNet's weights of `{name}` are for images of 3 channels. "
            f"Received: input_shape={tuple(input_shape)}. Use `encoder_weights=None`, or a "
            "`keras.Model` that brings the channels to 3, such as by a 1 x 1 convolution."
        )
    try:
        return function(include_top=False, weights="imagenet", input_shape=tuple(input_shape))
    except Exception as error:
        # What Keras raises where it cannot download is a plain `Exception`.
        if type(error) is not Exception:
            raise
        raise FileNotFoundError(
            f"Keras could not download ImageNet's weights of `{name}`. Received: {error}. Put that "
            "file into ~/.keras/models, or use an encoder whose weights are in a package: "
            "`efficientnet_lite2`."
        ) from error


@contextlib.contextmanager
def _dtype_policy(dtype):
    """Makes layers have a dtype policy where a function does not take one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(before if dtype is None else dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
