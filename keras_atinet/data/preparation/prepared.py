"""Reads the prepared format."""

import functools
import pathlib

import numpy as np

from keras_atinet.data.kinds import described
from keras_atinet.data.preparation.description import PRESENT, array_form, read_description
from keras_atinet.data.preparation.packing import unpack
from keras_atinet.data.preparation.problems import problems
from keras_atinet.data.source import Source
from keras_atinet.files import one_line


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
                sample[key] = unpack(self._arrays[key][index], facts["kind"])
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
                f"Received: '{path}' ({one_line(error)}). Remove the folder and prepare it again."
            ) from error
        if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
            raise ValueError(
                f"The array of {name!r} must be {dtype} of shape {shape}. "
                f"Received: '{path}', {array.dtype} of shape {array.shape}. "
                "Remove the folder and prepare it again."
            )
        return np.asarray(array)
