"""The config of a preset: what network it describes, of known classes only."""

import importlib.util

import keras

from keras_atinet.files import one_line, read_json, write_json
from keras_atinet.internals import tensorflow_only_if_imported, values_to_load

_PACKAGES = ("keras", "keras_atinet", "keras_hub")
# They run code.
_REFUSED = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "function")
_READERS = ("Lookup", "Vectorization", "Tokenizer")  # of other files
_VALUES = ("__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__keras_tensor__")


def write_config(path, model):
    """Writes the config of a network, not of its training.

    Returns:
        A network of this config, without its weights.

    Raises:
        ValueError: if it holds what a preset must not.
    """
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    _check(config, f"the network '{model.name}'", "Save it by `model.save`, to a .keras file.")
    write_json(path, config)
    return build(path)


def build(path):
    """The `keras.Model` of a config, for weights to be loaded into. No code of the config is run.

    Raises:
        ValueError: if it is damaged, or names anything but layers of Keras, of this package or of
            keras-hub.
        ImportError: if it names layers of keras-hub, which is not installed.
    """
    config = read_json(path)
    _check(config, f"'{path}'", "Load only what you trust, from a .keras file.")
    try:
        with values_to_load(), tensorflow_only_if_imported():
            return keras.saving.deserialize_keras_object(config, safe_mode=True)
    # What a config describes may be impossible in many ways.
    except Exception as error:
        raise ValueError(
            f"The network of a preset cannot be made. Received: '{path}' "
            f"({type(error).__name__}: {one_line(error)}). Another version of the package may have "
            "written it: update, or get the preset again."
        ) from error


def _check(config, where, fix):
    # Without recursion: a file may be nested more deeply than functions may be.
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (list, tuple)):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
            if "class_name" in value:
                _check_class(value, where, fix)
            # It would read another file, or download one.
            if value.get("encoder_weights") is not None:
                raise ValueError(
                    "A preset has all its weights in one file. Received: "
                    f"{where} with encoder_weights={value['encoder_weights']!r:.60}. {fix}"
                )


def _check_class(value, where, fix):
    name, module, registered = (
        value.get(key) for key in ("class_name", "module", "registered_name")
    )
    if name in _VALUES:
        return
    names, packages = [str(name)], {str(module or "keras").partition(".")[0]}
    if registered is not None:
        package, separator, registered_class = str(registered).rpartition(">")
        names.append(registered_class)
        packages |= {package} if separator else set()
    is_known = isinstance(name, str) and packages <= set(_PACKAGES)
    if not is_known or any(
        n in _REFUSED or n.startswith("__") or n.endswith(_READERS) for n in names
    ):
        raise ValueError(
            "A preset is made of layers of Keras, keras_atinet and keras_hub that run no code of "
            f"others. Received: {where} with {name!r:.60} of {registered or module!r:.60}. {fix}"
        )
    if "keras_hub" in packages and not importlib.util.find_spec("keras_hub"):
        raise ImportError(
            f"The preset has a layer of keras-hub, which is not installed. Received: {where} with "
            f"{name!r:.60}. `pip install keras-hub`."
        )
