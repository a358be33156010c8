"""Models that runs have saved."""

import pathlib

import keras

from keras_atinet import models
from keras_atinet.models.saving import damage
from keras_atinet.runs.run import Run


def find_model(path):
    """The file of a saved model, and the `Run` of its folder, which need not be a run folder.

    Args:
        path: str or path of a `.keras` file or of a run folder, which stands for its best model.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no `.keras` file, or a damaged one.
    """
    path = pathlib.Path(path)
    file = Run(path).best if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no model '{file}'. Name a .keras file, or a run folder in which at least "
            "one epoch is done."
        )
    if file.suffix != ".keras":
        raise ValueError(f"A model is a .keras file. Received: '{file}'.")
    _check_complete(file)
    return file, Run(file.parent)


def _check_complete(file):
    found, last = damage(file), file.with_name("last.keras")
    if found:
        other = "" if damage(last) else f" Take another, such as '{last}'."
        raise ValueError(f"The model is damaged. Received: '{file}' ({found}).{other}")


def load_model(file, compile=True):
    """The `MultiTaskModel` in a file.

    Args:
        file: path, the first of what `find_model` returns.
        compile: bool, whether it is compiled as it was saved.

    Raises:
        ValueError: if the file cannot be loaded, or holds something else.
    """
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
        return keras.saving.load_model(file, compile=compile)
    # What the file asks for may be missing in many ways, which exceptions of many kinds report.
    except Exception as error:
        what = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"The model cannot be loaded. Received: '{file}' ({type(error).__name__}: {what}). "
            "If classes of your own are in it, import them before."
        ) from error
