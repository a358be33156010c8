"""The fast form of data: arrays in files that are mapped into memory."""

import functools
import json
import pathlib

import numpy as np

from keras_atinet.data.kinds import described, kind_of, missing_value
from keras_atinet.data.preparation.problems import problems
from keras_atinet.data.source import Source
from keras_atinet.data.sources.packing import packed_dtype, unpack

FORMAT = 1
DESCRIPTION = "prepared.json"
PRESENT = "present"


class Prepared(Source):
    """Reads what `prepare` or `keras-atinet data prepare` wrote.

    A folder for each split has `prepared.json`, which describes it, `image.npy` and one `.npy`
    file for each task with all samples, and `present.npy`, which says which sample has which
    task. Images have 8 bits, normals 16 bits a channel, labels the fewest that do; depth is
    float32. So images are exact to 1/510, normals to 1/65534, and all else to the last bit.

    Args:
        path: str or path of the folder.
        split: str, its subfolder.
        tasks: sequence of task keys to read, or None for all.

    Raises:
        FileNotFoundError: if the folder, the split or a task is not there.
        ValueError: if a file is damaged or is not what the description says.

    Example:

    ```python
    prepare([Folder("nyuv2", "train"), Folder("nyuv2", "test")], "nyuv2-fast")
    train = Prepared("nyuv2-fast")
    ```
    """

    def __init__(self, path, split="train", tasks=None):
        self.path, self.split = pathlib.Path(path), split
        self._root = self.path / str(split)
        self._description = read_description(self._root)
        self.image_size = tuple(self._description["image_size"])
        self._stored = described(self._description["tasks"])
        keys = list(self._stored) if tasks is None else list(tasks)
        for key in keys:
            if key not in self._stored:
                raise FileNotFoundError(
                    f"'{self._root}' does not have this task. "
                    f"Expected: some of {sorted(self._stored)}. Received: {key!r} in `tasks`."
                )
        self.tasks = {key: self._stored[key] for key in keys}
        for name in ("image", *keys, PRESENT):
            self._array(name)

    def __len__(self):
        return self._description["samples"]

    def __getitem__(self, index):
        index = self._position(index)
        sample = {"image": unpack(self._arrays["image"][index], "image")}
        present = dict(zip(self._stored, self._arrays[PRESENT][index], strict=True))
        for key, facts in self.tasks.items():
            if present[key]:
                sample[key] = unpack(self._arrays[key][index], kind_of(key, facts))
        for key, problem in problems(sample, self.tasks).items():
            raise ValueError(
                f"Sample {index} is damaged. {problem} Received: '{self._file(key)}'. "
                "Remove the folder and prepare it again."
            )
        return sample

    def __getstate__(self):
        # A process that gets a copy maps the files itself.
        return {key: value for key, value in self.__dict__.items() if key != "_arrays"}

    @functools.cached_property
    def _arrays(self):
        return {key: self._array(key) for key in ("image", *self.tasks, PRESENT)}

    def _file(self, name):
        return self._root / f"{name}.npy"

    def _array(self, name):
        path = self._file(name)
        shape, dtype = array_form(name, self._description)
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"A prepared folder is incomplete. Expected: '{path}', which is missing. "
                "Prepare it again."
            ) from error
        # A damaged header is reported by exceptions of many kinds.
        except Exception as error:
            raise ValueError(
                f"The array of {name!r} cannot be read; it may be cut short. "
                f"Received: '{path}' ({error}). Remove the folder and prepare it again."
            ) from error
        if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
            raise ValueError(
                f"The array of {name!r} must be {dtype} of shape {shape}. "
                f"Received: '{path}', {array.dtype} of shape {array.shape}. "
                "Remove the folder and prepare it again."
            )
        return np.asarray(array)


def array_form(name, description):
    """Shape and dtype of one of the arrays of a split.

    Args:
        name: `"image"`, a task key, or `"present"`.
        description: dict, the content of `prepared.json`.
    """
    samples, tasks = description["samples"], description["tasks"]
    if name == PRESENT:
        return (samples, len(tasks)), np.dtype(bool)
    if name == "image":
        return (samples, *description["image_size"], 3), packed_dtype("image")
    kind, pixel = kind_of(name, tasks[name]), missing_value(name, tasks[name])
    return (samples, *description["image_size"], *pixel.shape), packed_dtype(kind, tasks[name])


def prepared_splits(path):
    """Names of the splits in a folder that are completely prepared; none for any other folder."""
    files = pathlib.Path(path).glob(f"*/{DESCRIPTION}")
    # A split that is not complete ends with ".part".
    return sorted(file.parent.name for file in files if not file.parent.suffix)


def read_description(root):
    """What `prepared.json` says of a split.

    Raises:
        FileNotFoundError: if the folder of the split is not there.
        ValueError: if the file is damaged, of another version, or the split unfinished.
    """
    file = root / DESCRIPTION
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no such prepared split. Expected: one of {prepared_splits(root.parent)} in "
            f"'{root.parent}'. Received: split={root.name!r}."
        )
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
        if description["format"] != FORMAT or description["written"] != description["samples"]:
            raise ValueError(f"format {FORMAT} and all samples written are expected")
        for key in ("image", *described(description["tasks"])):
            array_form(key, description)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"The description of a prepared split is damaged or of another version. "
            f"Received: '{file}' ({type(error).__name__}: {error}). Prepare the data again."
        ) from error
    return description
