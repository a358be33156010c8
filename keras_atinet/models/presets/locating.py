"""Where a preset lies: in the package, in a folder, on a hub."""

import contextlib
import difflib
import importlib
import os
import pathlib
import re

from keras_atinet.files import one_line
from keras_atinet.models.presets.files import CARD, CONFIG, METADATA, WEIGHTS
from keras_atinet.settings import PRESETS

_FILES = (CONFIG, METADATA, WEIGHTS, CARD)
_WHAT = (
    "A preset is one of those that come with the package, a folder, 'hf://org/name[@revision]' or "
    "'kaggle://org/model/keras/variant[/version]'."
)
_WORD = r"\w[\w.-]*"
_HUGGING_FACE = re.compile(rf"(?P<name>{_WORD}/{_WORD})(@(?P<revision>{_WORD}(/{_WORD})*))?")
_KAGGLE = re.compile(rf"{_WORD}/{_WORD}/keras/{_WORD}(/\d+)?", re.IGNORECASE)


def presets():
    """The presets that come with the package.

    Returns:
        dict, name -> what it is, in a line.

    Example:
        >>> keras_atinet.presets()
        {'split_efficientnet_lite2_nyuv2': 'Split on EfficientNet-Lite2, ...'}
    """
    return dict(PRESETS)


def is_preset(name):
    """Whether a name or path is that of a preset: of the package, on a hub, or in a folder."""
    name = os.fspath(name)
    return name in PRESETS or "://" in name or pathlib.Path(name, METADATA).is_file()


def find_preset(preset):
    """The folder of a preset, downloaded from a hub if need be.

    Args:
        preset: str or path, as for `from_preset`.

    Returns:
        `pathlib.Path`.

    Raises:
        FileNotFoundError: if there is no such preset.
        ValueError: if it is no handle of a hub.
        ImportError: if the package is missing that a hub needs.
        OSError: if it cannot be downloaded.
    """
    name = os.fspath(preset)
    if name in PRESETS:
        folder = pathlib.Path(__file__).parent / name
        if not folder.is_dir():
            raise FileNotFoundError(
                f"The files of the preset '{name}' are missing from this installation, in "
                f"'{folder}'. Install the package again: `pip install --force-reinstall "
                "--no-deps keras-atinet`."
            )
        return folder
    scheme, separator, handle = name.partition("://")
    if separator:
        if scheme not in _DOWNLOADS:
            raise ValueError(f"There is no such hub. Received: '{name}'. {_WHAT}")
        return pathlib.Path(_DOWNLOADS[scheme](name, handle))
    if not pathlib.Path(name).is_dir():
        raise FileNotFoundError(f"There is no such preset. Received: '{name}'.{_nearest(name)}")
    return pathlib.Path(name)


def _nearest(name):
    found = difflib.get_close_matches(name, PRESETS, n=1)
    return f" Did you mean '{found[0]}'?" if found else f" {_WHAT} There is {', '.join(PRESETS)}."


def _from_hugging_face(name, handle):
    match = _HUGGING_FACE.fullmatch(handle)
    if not match:
        raise ValueError(
            "A preset on Hugging Face is 'hf://org/name', with '@revision' for one that is not "
            f"the newest. Received: '{name}'."
        )
    hub = _import("huggingface_hub", name)
    # Only what a preset is made of: what else is there may be of any size.
    options = {"revision": match["revision"], "allow_patterns": list(_FILES)}
    with _downloading(name):
        return hub.snapshot_download(match["name"], **options)


def _from_kaggle(name, handle):
    if not _KAGGLE.fullmatch(handle):
        raise ValueError(
            "A preset on Kaggle is 'kaggle://org/model/keras/variant', with '/version' for one "
            f"that is not the newest. Received: '{name}'."
        )
    hub = _import("kagglehub", name)
    with _downloading(name):
        return hub.model_download(handle)


_DOWNLOADS = {"hf": _from_hugging_face, "kaggle": _from_kaggle}


def _import(package, name):
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"The preset '{name}' is downloaded by the package `{package}`, which cannot be "
            f"imported ({one_line(error)}): `pip install {package}`. Or download it in another "
            "way, and name the folder."
        ) from error


@contextlib.contextmanager
def _downloading(name):
    # Turns an error of a hub, of whatever kind, into one that names the preset.
    try:
        yield
    except Exception as error:
        raise OSError(
            f"The preset cannot be downloaded. Received: '{name}' "
            f"({type(error).__name__}: {one_line(error)}). Check its name, that you have access to "
            "it, and the network. Or download it elsewhere, and name the folder."
        ) from error
