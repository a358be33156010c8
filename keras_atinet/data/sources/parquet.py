"""NYUv2 as the parquet files of the Hugging Face hub."""

import bisect
import collections
import functools
import itertools
import pathlib
import re
import threading

import numpy as np

from keras_atinet.data.nyuv2.classes import NYU13_TASKS
from keras_atinet.data.sources.array_source import ArraySource
from keras_atinet.files import one_line

_CACHED_GROUPS = 2
_PART = re.compile(r"-\d{5}-of-(\d{5})\b")


class Parquet(ArraySource):
    """Reads parquet files with columns `image`, `segmentation`, `depth` and `normal`.

    These are the files of the dataset `tanganke/nyuv2`, named `train-00000-of-00008-*.parquet`,
    in the folder or its subfolder `data`: image `(3, H, W)` in [0, 1], segmentation `(H, W)`
    with 13 classes and -1 = ignored, depth `(1, H, W)` in metres with 0 = ignored, normal
    `(3, H, W)`; nested lists, or the tensors of the `datasets` library. A null is an absent
    target. The axes of the normals are detected as in `MTANArrays`.

    A file can be read in row groups only, usually of 100 samples or more, of which the last two
    are kept in memory. So read it in order, or once into another form: `keras-atinet data
    prepare`, or `pipeline(..., cache=True)`.

    Args:
        path: str or path of the folder, or of one file.
        split: `"train"` or `"val"`; `"test"` is another name for `"val"`.
        tasks: sequence of task keys to read, or None for all that have a column.
        normal_axes: three of `"x"`, `"-x"`, `"y"`, `"-y"`, `"z"` and `"-z"`, the stored
            component that each of x (right), y (down) and z (forward) is, or None.

    Raises:
        ImportError: if pyarrow is not installed.
        FileNotFoundError: if the folder, the split, one of its files or a task is not there.
        ValueError: if a file is not a parquet file, or a sample is invalid.

    Example:

    ```python
    train = Parquet("nyuv2/data", split="train")
    train[0]["depth"].shape  # (288, 384, 1)
    ```
    """

    channels_first = True

    def __init__(self, path, split="train", tasks=None, normal_axes=None):
        self.path = pathlib.Path(path)
        self._files = _files(self.path, split)
        self._groups = []  # (file, row group) of each group
        self._starts = [0]  # the first sample of each group
        for file in self._files:
            with _opened(file) as parquet:
                columns = parquet.schema_arrow.names
                for group in range(parquet.num_row_groups):
                    self._groups.append((file, group))
                    num_rows = parquet.metadata.row_group(group).num_rows
                    self._starts.append(self._starts[-1] + num_rows)
            if "image" not in columns:
                raise ValueError(
                    "The files need a column `image`, and others for the targets. "
                    f"Received: '{file}' with {columns}."
                )
        super().__init__(split, tasks, [key for key in NYU13_TASKS if key in columns], normal_axes)
        self._columns = [key for key in ("image", *NYU13_TASKS) if key in columns]
        self._forget()

    @functools.cached_property
    def image_size(self):
        return self._stored(0, "image", 3)[0].shape[:2] if len(self) else None

    def __len__(self):
        return self._starts[-1]

    def __getstate__(self):
        return {key: value for key, value in vars(self).items() if key not in ("_lock", "_cache")}

    def __setstate__(self, state):
        vars(self).update(state)
        self._forget()

    def _forget(self):
        self._lock, self._cache = threading.Lock(), collections.OrderedDict()

    def _array(self, index, key):
        group, row = self._place(index)
        with self._lock:
            if group not in self._cache:
                while len(self._cache) >= _CACHED_GROUPS:
                    self._cache.popitem(last=False)
                file, number = self._groups[group]
                with _opened(file) as parquet:
                    self._cache[group] = parquet.read_row_group(number, columns=self._columns)
            self._cache.move_to_end(group)
            column = self._cache[group].column(key)
        return _as_array(column, row)

    def _where(self, index, key):
        group, row = self._place(index)
        file, number = self._groups[group]
        return f"row {row} of row group {number} of '{file}'"

    def _place(self, index):
        group = bisect.bisect_right(self._starts, index) - 1
        return group, index - self._starts[group]


def _files(path, split):
    # The files of the split, in the order of their parts.
    if path.is_file():
        return [path]
    for name in (split, "val") if split == "test" else (split,):
        for folder in (path, path / "data"):
            files = sorted({*folder.glob(f"{name}-*.parquet"), *folder.glob(f"{name}.parquet")})
            if not files:
                continue
            stated = {int(parts) for file in files for parts in _PART.findall(file.name)}
            if stated and stated != {len(files)}:
                raise FileNotFoundError(
                    f"Expected: {sorted(stated)} files for split {name!r} in '{folder}'. "
                    f"Received: {len(files)} files. Is the download complete?"
                )
            return files
    found = sorted({file.name for f in (path, path / "data") for file in f.glob("*.parquet")})
    raise FileNotFoundError(
        f"There is no '{split}-*.parquet' in '{path}' or its subfolder 'data'. "
        f"Expected: one of {found}. Received: split={split!r}."
    )


def _opened(file):
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            "Reading parquet files needs pyarrow. Install it with `pip install keras-atinet[data]`."
        ) from error
    try:
        return parquet.ParquetFile(file)
    except Exception as error:
        raise ValueError(
            f"This is no parquet file, or it was cut short. Received: '{file}' "
            f"({one_line(error)}). Download it again."
        ) from error


def _as_array(column, row):
    # One row of a column of nested lists, or None.
    for chunk in column.chunks:
        if row < len(chunk):
            break
        row -= len(chunk)
    values = getattr(chunk, "storage", chunk).slice(row, 1)
    if values.null_count:
        return None
    shape = []
    while hasattr(values, "flatten") and hasattr(values.type, "value_type"):
        shape.append(len(values))
        values = values.flatten()
    # (1, C, C * H, C * H * W): each length counts all lists of its depth.
    lengths = [*shape, len(values)]
    sizes = [after // max(before, 1) for before, after in itertools.pairwise(lengths)]
    return np.array(values.to_numpy(zero_copy_only=False)).reshape(sizes)
