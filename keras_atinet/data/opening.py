"""Opens a dataset, detecting its format."""

import os
import pathlib
from typing import NamedTuple

from keras_atinet.data.nyuv2.mat_file import NYUv2Mat
from keras_atinet.data.preparation.description import prepared_splits
from keras_atinet.data.preparation.prepared import Prepared
from keras_atinet.data.rooms.rooms import Rooms
from keras_atinet.data.source import Source
from keras_atinet.data.sources.file_names import named_files, subfolders
from keras_atinet.data.sources.folder import Folder
from keras_atinet.data.sources.hugging_face import HuggingFace
from keras_atinet.data.sources.mtan_arrays import MTANArrays
from keras_atinet.data.sources.parquet import Parquet
from keras_atinet.data.sources.pictures import PICTURES
from keras_atinet.data.sources.tfds import TFDS
from keras_atinet.settings import ROOMS

_HUB, _TFDS = "huggingface:", "tfds:"
_MATLAB_FILE = "nyu_depth_v2_labeled.mat"
# Names of splits to choose the best epoch on.
VALIDATION = ("val", "validation", "valid")
_SPLIT_ORDER = ("train", "training", *VALIDATION, "test", "testing")
_EXPECTED = """\
Expected one of
- 'rooms', made up on the fly;
- a folder of images and targets: [SPLIT/]image/NAME.jpg, .png or .tif, [SPLIT/]depth/NAME.png, ...;
- a folder of MTAN arrays: SPLIT/image/0.npy, SPLIT/label/0.npy, ...;
- a folder of parquet files: [data/]SPLIT-00000-of-00005.parquet, ...;
- the file nyu_depth_v2_labeled.mat, or its folder;
- a folder that `keras-atinet data prepare` wrote: SPLIT/prepared.json;
- 'huggingface:tanganke/nyuv2';
- 'tfds:nyuv2_multi_task/folder', prepared as array_record"""


class Form(NamedTuple):
    """The format of a dataset: what it is called, the class that reads it, and its splits."""

    title: str
    source: type
    splits: list


def open_source(where, split=None, tasks=None, **options):
    """Opens a dataset, detecting its format.

    Args:
        where: str or path: `"rooms"`, a folder of aligned images, of MTAN arrays or of parquet
            files, `nyu_depth_v2_labeled.mat` or its folder, a prepared folder, or
            `"huggingface:"` or `"tfds:"` and the name of a dataset.
        split: str, or None for the first of `splits(where)`, the one to train on.
        tasks: sequence of task keys, or None for all.
        options: further arguments of that source.

    Returns:
        `Source`.

    Raises:
        FileNotFoundError: if there is nothing, no known format, or no such split or task.
        ValueError: if a file is damaged or has unexpected content.

    Example:

    ```python
    train = open_source("nyuv2")
    train.split, len(train)  # ("train", 795)
    ```
    """
    form = recognize(where)
    split = form.splits[0] if split is None else split
    if form.source is Rooms:
        source = Rooms(split=split, **options)
        return source if tasks is None else _Chosen(source, tasks)
    place = str(where).removeprefix(_HUB).removeprefix(_TFDS)
    return form.source(place, split=split, tasks=tasks, **options)


class _Chosen(Source):
    # Some tasks of a source that always makes all of them.
    def __init__(self, source, tasks):
        unknown = [key for key in tasks if key not in source.tasks]
        if unknown:
            raise ValueError(
                f"The data offers the tasks {list(source.tasks)}. Received: {unknown[0]!r}."
            )
        self.source, self.split, self.image_size = source, source.split, source.image_size
        self.tasks = {key: source.tasks[key] for key in tasks}

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        sample = self.source[index]
        return {key: sample[key] for key in ("image", *self.tasks)}


def splits(where):
    """The splits of a dataset, the one to train on first.

    Args:
        where: see `open_source`.

    Returns:
        list of str; `[None]` if the data is not split.
    """
    return recognize(where).splits


def recognize(where):
    """The `Form` of a dataset; arguments and errors as for `open_source`."""
    if str(where) == ROOMS:
        return Form("rooms made up on the fly", Rooms, ["train", "test"])
    if str(where).startswith(_HUB):
        return Form("a data set of the Hugging Face hub", HuggingFace, ["train", "val"])
    if str(where).startswith(_TFDS):
        return Form("data that tensorflow-datasets has prepared", TFDS, ["train", "test"])
    path = pathlib.Path(where)
    if not path.exists():
        raise FileNotFoundError(f"There is no such data. Received: '{where}'. {_EXPECTED}.")
    for detect in (_prepared, _matlab, _folder, _arrays, _parquet):
        form = detect(path)
        if form is not None:
            return form._replace(splits=_ordered(form.splits))
    raise FileNotFoundError(f"Found no data that is known: {_found(path)}. {_EXPECTED}.")


def _prepared(path):
    names = prepared_splits(path) if path.is_dir() else []
    return Form("a prepared folder", Prepared, names) if names else None


def _matlab(path):
    if path.suffix.lower() != ".mat" and not (path / _MATLAB_FILE).is_file():
        return None
    return Form("the labelled set of NYUv2", NYUv2Mat, ["train", "test"])


def _folder(path):
    names = _with_images(path, PICTURES)
    return Form("a folder of images", Folder, names) if names else None


def _arrays(path):
    names = _with_images(path, (".npy",))
    return Form("a folder of MTAN arrays", MTANArrays, names) if names else None


def _parquet(path):
    files = [*path.glob("*.parquet"), *path.glob("data/*.parquet")] if path.is_dir() else [path]
    names = {file.stem.split("-")[0] for file in files if file.suffix == ".parquet"}
    return Form("a folder of parquet files", Parquet, names) if names else None


def _with_images(path, suffixes):
    # Names of the subfolders that have a folder `image`, if one of them has such files; [None] for
    # the folder itself. So a split whose files are lost is opened, which says what is missing.
    def fits(folder):
        return any(named_files(folder / "image", suffixes))

    if not path.is_dir():
        return []
    if fits(path):
        return [None]
    names = [name for name in subfolders(path) if os.path.lexists(path / name / "image")]
    return names if any(fits(path / name) for name in names) else []


def _ordered(names):
    ranks = {name: rank for rank, name in enumerate(_SPLIT_ORDER)}
    return sorted(names, key=lambda name: (ranks.get(name, len(ranks)), name or ""))


def _found(path):
    if not path.is_dir():
        return f"'{path}' is a file"
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in path.iterdir())
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"'{path}' has {shown or 'nothing in it'}"
