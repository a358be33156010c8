"""Arrays from files of PyTorch, with or without PyTorch."""

import os
import pickle
import zipfile
from collections.abc import Mapping

import numpy as np

from keras_atinet.models.restricted_reader import read_restricted

# Where trainers put the state dict inside what they save.
CONTAINERS = ("state_dict", "model_state_dict", "model")
# Before, `weights_only=True` could be made to run code: CVE-2025-32434 (up to 2.5.1) and
# CVE-2026-24747 (up to 2.9.1). The extra `torch` has the same floor.
OLDEST_TORCH = "2.10.0"


def state_dict_arrays(path_or_state_dict):
    """The arrays of a PyTorch state dict, in PyTorch's layout, without what counts batches.

    A prefix `module.` (from `DataParallel`) is dropped. A file is read with PyTorch where a
    version is installed that refuses code in it, else by `read_restricted`.

    Args:
        path_or_state_dict: path of a `.pt` or `.pth` file, or a mapping name -> array or tensor;
            or a mapping that has one under "state_dict", "model_state_dict" or "model".

    Returns:
        Dict name -> array.

    Raises:
        ValueError: if the file holds more than weights, is damaged, or is no mapping.
        FileNotFoundError: if there is no such file.
    """
    if isinstance(path_or_state_dict, (str, os.PathLike)):
        state = _read(path_or_state_dict)
    else:
        state = path_or_state_dict
    if not isinstance(state, Mapping):
        raise ValueError(
            "A checkpoint is a dict of weights, name -> array. "
            f"Received: {type(state)}. Save `model.state_dict()` instead of the model."
        )
    for key in CONTAINERS:
        if isinstance(state.get(key), Mapping):
            state = state[key]
    return {
        str(name).removeprefix("module."): _array(value)
        for name, value in state.items()
        if "num_batches_tracked" not in str(name)
    }


def _array(value):
    if hasattr(value, "detach"):
        value = value.detach().cpu().float().numpy()
    return np.asarray(value)


def _read(path):
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no checkpoint file '{path}'.")
    torch = _safe_torch()
    try:
        if torch is None:
            return read_restricted(path)
        _check_sums(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    # PyTorch reports what is no file of its by exceptions of many kinds.
    except Exception as error:
        reason = f": {error}" if torch is None else ""  # PyTorch's advises to run its code
        raise ValueError(
            f"'{path}' is no PyTorch file of weights alone (pickled code is refused), or a damaged "
            f"one{reason}. Save `model.state_dict()` instead of the model."
        ) from error


def _check_sums(path):
    # PyTorch does not: damaged numbers are numbers to it.
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken:
            raise pickle.UnpicklingError(f"its {broken} is damaged")


def _safe_torch():
    try:
        import torch
    except ImportError:
        return None
    version = torch.torch_version.TorchVersion(torch.__version__)
    return torch if version >= OLDEST_TORCH else None
