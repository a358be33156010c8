"""NYUv2's MATLAB file and the small files beside it: splits and classes."""

import numpy as np

from keras_atinet.data.nyuv2.mat5 import read_mat5

_NAME = "nyu_depth_v2_labeled"
_SPLIT_FIELDS = {"train": "trainNdxs", "test": "testNdxs"}


def mat_file(path):
    """Returns the MATLAB file at a path: the file itself, or the only one in a folder."""
    found = [path] if path.is_file() else sorted(path.glob(f"{_NAME}*.mat"))
    if len(found) != 1:
        raise FileNotFoundError(
            f"`path` must be '{_NAME}.mat' or the folder that has it. Received: path='{path}', "
            f"with {[file.name for file in found]}. "
            "Get it from cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html."
        )
    return found[0]


def splits_file(path):
    """Returns `splits.mat` beside a MATLAB file, or `splits_6.mat` beside an excerpt NAME_6.mat."""
    own = path.with_name(f"splits{path.stem.removeprefix(_NAME)}.mat")
    return own if own.is_file() else path.with_name("splits.mat")


def split_indices(path, split, num_samples):
    """Returns the samples of a split.

    Args:
        path: `pathlib.Path` of `splits.mat`, with `trainNdxs` and `testNdxs`, from 1 on.
        split: `"train"` or `"test"`.
        num_samples: int, how many there are.

    Returns:
        list of int, from 0 on.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if it is no such file, or names a sample that is not there.
    """
    indices = _load(path, _SPLIT_FIELDS[split], np.ndarray).ravel()
    if not ((indices >= 1) & (indices <= num_samples)).all():
        raise ValueError(
            f"A split must name samples between 1 and {num_samples}. Received: "
            f"{indices.max()} in '{path}'. Give `splits`, the file for these data."
        )
    return (indices.astype(int) - 1).tolist()


def class_table(folders, num_classes):
    """Returns the table that turns NYUv2's classes 0 to 894 into the usual ones.

    Args:
        folders: sequence of `pathlib.Path`, where `classMapping40.mat` and, for 13 classes,
            `class13Mapping.mat` are looked for.
        num_classes: 13 or 40.

    Returns:
        `(895,)` int32, -1 = missing; and a list of the names of the classes.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: if it is not what it should be.
    """
    path = _first(folders, "classMapping40.mat")
    table, names = _load(path, "mapClass", np.ndarray), _load(path, "className", list)
    table = _checked(path, table.ravel(), names, 40)
    if num_classes == 13:
        path = _first(folders, "class13Mapping.mat")
        to_13 = _load(path, "classMapping13", dict)
        if not {"labels13", "classNames"} <= set(to_13) or to_13["labels13"].size != 40:
            raise ValueError(
                "The field `classMapping13` must have `labels13`, for 40 classes, and "
                f"`classNames`. Received: '{path}' with {list(to_13)}."
            )
        names = to_13["classNames"]
        table = _checked(path, to_13["labels13"].ravel(), names, 13)[table - 1]
    return np.concatenate([[-1], table - 1]).astype(np.int32), list(names)


def _checked(path, table, names, num_classes):
    are_names = len(names) == num_classes and all(isinstance(name, str) for name in names)
    if not are_names or not ((table >= 1) & (table <= num_classes)).all():
        raise ValueError(
            f"Classes must be numbered from 1 to {num_classes}. Received: '{path}' with "
            f"{len(names)} names and classes from {table.min()} to {table.max()}."
        )
    return table.astype(np.int32)


def _first(folders, name):
    found = [folder / name for folder in folders if (folder / name).is_file()]
    return found[0] if found else folders[0] / name


def _load(path, field, kind):
    if not path.is_file():
        raise FileNotFoundError(
            "NYUv2's MATLAB file needs splits.mat, classMapping40.mat and, for 13 classes, "
            f"class13Mapping.mat beside it. Received: no '{path}'."
        )
    value = read_mat5(path, field)
    if not isinstance(value, kind) or not len(value):
        raise ValueError(
            f"The field `{field}` must be filled, of the type {kind.__name__}. "
            f"Received: '{path}' with {value!r}."
        )
    return value
