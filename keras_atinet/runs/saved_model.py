"""Models that runs have saved."""

import pathlib

import keras

from keras_atinet import models
from keras_atinet.internals import values_to_load
from keras_atinet.models.presets.loading import from_preset
from keras_atinet.models.presets.locating import find_preset, is_preset
from keras_atinet.models.saving import damage
from keras_atinet.runs.run import Run
from keras_atinet.settings import PRESETS


def find_model(path):
    """Where a saved model is, and the `Run` of its folder.

    Args:
        path: str or path of a `.keras` file; of a run folder, which stands for its best model; or a
            preset, as for `keras_atinet.from_preset`.

    Returns:
        `pathlib.Path` of a file, or of the folder of a preset; and the `Run`, None if the model
        lies in no run folder.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no `.keras` file, or a damaged one.
        ImportError, OSError: as `keras_atinet.from_preset`.
    """
    if is_preset(path):
        return find_preset(path), None
    path = pathlib.Path(path)
    file = Run(path).best if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no model '{file}'. Name a .keras file, a run folder in which at least one "
            f"epoch is done, or a preset ({', '.join(PRESETS)})."
        )
    if file.suffix != ".keras":
        raise ValueError(f"A model is a .keras file. Received: '{file}'.")
    _check_complete(file)
    run = Run(file.parent)
    return file, run if run.config.is_file() else None


def _check_complete(file):
    found, last = damage(file), file.with_name("last.keras")
    if found:
        other = "" if damage(last) else f" Take another, such as '{last}'."
        raise ValueError(f"The model is damaged. Received: '{file}' ({found}).{other}")


def load_model(file, compile=True):
    """The `MultiTaskModel` in a file, or in the folder of a preset.

    Args:
        file: path, the first of what `find_model` returns.
        compile: bool, whether it is compiled as it was saved; a preset never is.

    Raises:
        ValueError: if the file cannot be loaded, or holds something else.
    """
    if pathlib.Path(file).is_dir():
        return from_preset(pathlib.Path(file).absolute())
    model = open_model(file, compile)
    if not isinstance(model, models.MultiTaskModel):
        raise ValueError(
            "The model must be one of `keras_atinet`. "
            f"Received: '{file}', a {type(model).__name__}."
        )
    return model


def open_model(file, compile=True):
    """The Keras model in a file.

    Raises:
        ValueError: if the file cannot be loaded.
    """
    _check_complete(pathlib.Path(file))
    try:
        with values_to_load():
            return keras.saving.load_model(file, compile=compile)
    # What the file asks for may be missing in many ways, which exceptions of many kinds report.
    except Exception as error:
        what = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"The model cannot be loaded. Received: '{file}' ({type(error).__name__}: {what}). "
            "If classes of your own are in it, import them before."
        ) from error
