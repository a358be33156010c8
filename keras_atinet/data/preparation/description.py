"""The file `prepared.json`, which describes a split in the prepared format."""

import os
import pathlib

import numpy as np

from keras_atinet.data import rules
from keras_atinet.data.kinds import array_kind, described, missing_value
from keras_atinet.data.preparation.packing import packed_dtype
from keras_atinet.data.rules import check
from keras_atinet.data.sources.file_names import subfolders
from keras_atinet.files import one_line, read_json

FORMAT = 1
DESCRIPTION = "prepared.json"
PRESENT = "present"
_RULES = {
    "format": rules.is_whole,
    "samples": rules.is_amount,
    "written": rules.is_amount,
    "image_size": rules.is_size,
}
_TASK_RULES = {
    "kind": rules.is_kind,
    "num_classes": rules.is_count,
    "channels": rules.is_count,
    "ignore_class": rules.is_label,
    "class_names": rules.are_names,
}


def array_form(name, description):
    """Shape and dtype of one of the arrays of a split.

    Args:
        name: `"image"`, a task key, or `"present"`.
        description: dict, the content of `prepared.json`.
    """
    samples, tasks = description["samples"], description["tasks"]
    if name == PRESENT:
        return (samples, len(tasks)), np.dtype(bool)
    channels = (3,) if name == "image" else missing_value(name, tasks[name]).shape
    dtype = packed_dtype(array_kind(name, tasks), tasks.get(name))
    return (samples, *description["image_size"], *channels), dtype


def prepared_splits(path):
    """Names of the splits in a folder that are completely prepared; none for any other folder.

    A split whose description is lost counts as well, so that it is not left out without a word.
    """
    path = pathlib.Path(path)
    if not any(path.glob(f"*/{DESCRIPTION}")):
        return []
    # A split that is not complete ends with ".part".
    names = [name for name in subfolders(path) if "." not in name]
    files = (DESCRIPTION, f"{PRESENT}.npy")
    return sorted(name for name in names if any(os.path.lexists(path / name / f) for f in files))


def read_description(root):
    """What `prepared.json` says of a split.

    Raises:
        FileNotFoundError: if the folder of the split is not there.
        ValueError: if the file is damaged, of another version, or the split unfinished.
    """
    file = root / DESCRIPTION
    if not root.is_dir():
        raise FileNotFoundError(
            f"There is no such prepared split. Expected: one of {prepared_splits(root.parent)} in "
            f"'{root.parent}'. Received: split={root.name!r}."
        )
    try:
        if not file.is_file():
            raise ValueError("the file is missing")
        description = read_json(file)
        check(file, description, _RULES)
        if description["format"] != FORMAT or description["written"] != description["samples"]:
            raise ValueError(f"format {FORMAT} and all samples written are expected")
        for key, facts in description["tasks"].items():
            known = {name: fact for name, fact in facts.items() if fact is not None}
            check(file, known, _TASK_RULES, f" of {key!r}")
        for key in ("image", *described(description["tasks"])):
            array_form(key, description)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"The description of a prepared split is damaged or of another version. "
            f"Received: '{file}' ({type(error).__name__}: {one_line(error)}). "
            "Prepare the data again."
        ) from error
    return description
