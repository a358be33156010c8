"""NYUv2's MATLAB file and the small files beside it: splits and classes."""

import numpy as np

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
    indices = _load(path, _SPLIT_FIELDS[split]).ravel().astype(int)
    if not indices.size or indices.min() < 1 or indices.max() > num_samples:
        raise ValueError(
            f"A split must name samples between 1 and {num_samples}. Received: "
            f"{indices.max(initial=0)} in '{path}'. Give `splits`, the file for these data."
        )
    return (indices - 1).tolist()


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
    table, names = _load(path, "mapClass").ravel(), _load(path, "className")
    if num_classes == 13:
        path = _first(folders, "class13Mapping.mat")
        to_13 = _load(path, "classMapping13")
        if not {"labels13", "classNames"} <= set(to_13.dtype.names or ()):
            raise ValueError(
                "The field `classMapping13` must have `labels13` and `classNames`. "
                f"Received: '{path}' with {to_13.dtype.names}."
            )
        table = to_13["labels13"][0, 0].ravel()[table.astype(int) - 1]
        names = to_13["classNames"][0, 0]
    names = [str(name.item()) for name in names.ravel()]
    if len(names) != num_classes or table.min() < 1 or table.max() > num_classes:
        raise ValueError(
            f"Classes must be numbered from 1 to {num_classes}. Received: '{path}' with "
            f"{len(names)} names and classes from {table.min()} to {table.max()}."
        )
    return np.concatenate([[-1], table.astype(np.int32) - 1]).astype(np.int32), names


def _first(folders, name):
    found = [folder / name for folder in folders if (folder / name).is_file()]
    return found[0] if found else folders[0] / name


def _load(path, field):
    try:
        from scipy import io
    except ImportError as error:
        raise ImportError(
            f"Reading '{path.name}' needs SciPy. Install it with `pip install keras-atinet[data]`."
        ) from error
    if not path.is_file():
        raise FileNotFoundError(
            "NYUv2's MATLAB file needs splits.mat, classMapping40.mat and, for 13 classes, "
            f"class13Mapping.mat beside it. Received: no '{path}'."
        )
    try:
        return io.loadmat(path)[field]
    except Exception as error:
        raise ValueError(
            f"The file must be a MATLAB 5 file with the field `{field}`. "
            f"Received: '{path}' ({type(error).__name__}: {error})."
        ) from error
