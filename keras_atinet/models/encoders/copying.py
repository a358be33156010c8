"""Copies of encoders, so that a user's model is neither changed nor shared."""

import keras

from keras_atinet.internals import tensorflow_only_if_imported
from keras_atinet.layers.copying import copy_weights


class _NotCopiedError(ValueError):
    """A layer's config does not make it again."""


def copy_at(model, input_shape, dtype=None, source=""):
    """A copy of a functional model for another image size, with weights of its own.

    Args:
        model: functional `keras.Model` from one image.
        input_shape: `(height, width, channels)`; height and width may be `None`.
        dtype: dtype policy of all layers; defaults to that of each.
        source: str, how errors name the model.

    Returns:
        Functional `keras.Model` with the names of `model`.

    Raises:
        ValueError: if the model takes another number of channels, or cannot be of this size.
    """
    check_channels(model, input_shape, source)

    def copy(operation):
        try:
            # Keras leaves the name out where a layer has no `get_config`.
            config = {"name": operation.name, **operation.get_config()}
            if isinstance(operation, keras.layers.Layer):
                config = _adapted(config, dtype)
            return type(operation).from_config(config)
        except Exception as error:
            what = str(error).strip().partition("\n")[0]
            raise _NotCopiedError(
                f"The layer '{operation.name}' of the encoder '{source}' cannot be copied, nor "
                f"loaded from a file. Received: a {type(operation).__name__} "
                f"({type(error).__name__}: {what}). Give it a `get_config` with all arguments of "
                "its `__init__`, which must take `name` and `dtype`; or use Keras's layers."
            ) from error

    image = keras.Input(input_shape, name=model.inputs[0].name)
    try:
        with tensorflow_only_if_imported():
            new = keras.models.clone_model(model, input_tensors=image, clone_function=copy)
    except _NotCopiedError:
        raise
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The encoder '{source}' cannot be built for images of this size; it may need larger "
            f"ones. Received: input_shape={tuple(input_shape)}. Keras says: {error}"
        ) from error
    layers = {layer.name: layer for layer in model.layers}
    for layer in new.layers:
        if layer.weights:  # The input may have another name.
            copy_weights(layers[layer.name], layer)
    return new


def check_channels(model, input_shape, source):
    """Raises a `ValueError` if a model does not take the channels of `input_shape`."""
    channels = model.inputs[0].shape[-1]
    if channels != input_shape[-1]:
        raise ValueError(
            f"The encoder '{source}' takes images of {channels} channels. "
            f"Received: input_shape={tuple(input_shape)}. Build it with {input_shape[-1]} channels "
            "(`docs/encoders.md`: how to adapt the first convolution), or bring the images to "
            f"{channels} by `preprocessing=keras.layers.Conv2D({channels}, 1)`."
        )


def _adapted(config, dtype):
    """A layer's config with another dtype policy, and for any image size if it is a model."""
    if dtype is not None:
        config = {**config, "dtype": dtype}
    if not isinstance(config.get("layers"), list):
        return config
    config = {key: value for key, value in config.items() if key != "build_input_shape"}
    layers = []
    for layer in config["layers"]:
        if layer["class_name"] == "InputLayer":
            shape = layer["config"]["batch_shape"]
            if len(shape) == 4:
                shape = (shape[0], None, None, shape[-1])
            adapted = {**layer["config"], "batch_shape": shape}
        else:
            adapted = _adapted(layer["config"], dtype)
        layers.append({**layer, "config": adapted})
    return {**config, "layers": layers}
