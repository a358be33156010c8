"""Models that runs have saved."""

import pathlib
import zipfile

import keras

from keras_atinet import models
from keras_atinet.runs.run import Run


def find_model(path):
    """The file of a saved model, and the `Run` of its folder, which need not be a run folder.

    Args:
        path: str or path of a `.keras` file or of a run folder, which stands for its best model.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a complete `.keras` file.
    """
    path = pathlib.Path(path)
    file = Run(path).best if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no model '{file}'. `--model` takes a .keras file, or a run folder in which "
            "at least one epoch is done."
        )
    if file.suffix != ".keras" or not zipfile.is_zipfile(file):
        raise ValueError(f"A model is a complete .keras file. Received: '{file}', which is none.")
    return file, Run(file.parent)


def load_model(file):
    """The `MultiTaskModel` in a file.

    Raises:
        ValueError: if the file holds something else.
    """
    model = keras.saving.load_model(file)
    if not isinstance(model, models.MultiTaskModel):
        raise ValueError(
            "The model must be one of `keras_atinet`. "
            f"Received: '{file}', a {type(model).__name__}."
        )
    return model
