"""NYUv2 as the arrays that MTAN's authors share."""

import contextlib
import functools
import pathlib

import numpy as np

from keras_atinet.data.nyuv2.classes import NYU13_TASKS
from keras_atinet.data.sources.array_source import ArraySource
from keras_atinet.data.sources.file_names import named_files, subfolders

_FOLDERS = {"image": "image", "segmentation": "label", "depth": "depth", "normal": "normal"}


class MTANArrays(ArraySource):
    """Reads `{train,val}/{image,label,depth,normal}/N.npy`, N = 0, 1, ...

    These are the files of MTAN's NYUv2: image `(H, W, 3)` in [0, 1], label `(H, W)` with 13
    classes and -1 = ignored, depth `(H, W, 1)` or `(H, W)` in metres with 0 = ignored, normal
    `(H, W, 3)` with a zero vector = ignored. Any numeric dtype is accepted.

    The axes of the normals are not stated in such files. They are detected from the depth of
    eight samples, and kept where that is inconclusive; `normal_axes` states them.

    Args:
        path: str or path of the folder with `train` and `val`.
        split: `"train"` or `"val"`; `"test"` is another name for `"val"`.
        tasks: sequence of task keys to read, or None for all that have a folder.
        normal_axes: three of `"x"`, `"-x"`, `"y"`, `"-y"`, `"z"` and `"-z"`, the stored
            component that each of x (right), y (down) and z (forward) is, or None.

    Raises:
        FileNotFoundError: if the folder, the split, its images or a task are not there.
        ValueError: if a target has no image, or when a file is invalid.

    Example:

    ```python
    train = MTANArrays("nyuv2", split="train")
    train[0]["depth"].shape  # (288, 384, 1)
    ```

    Reference: Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention, CVPR 2019.
    """

    def __init__(self, path, split="train", tasks=None, normal_axes=None):
        self.path = pathlib.Path(path)
        self._root = _split_root(self.path, split)
        folders = subfolders(self._root)
        files = {
            key: _files(self._root / folder) if folder in folders else {}
            for key, folder in _FOLDERS.items()
        }
        if not files["image"]:
            raise FileNotFoundError(
                "A split needs arrays 0.npy, 1.npy, ... in its folder `image`. "
                f"Received: '{self._root / 'image'}', which has none."
            )
        super().__init__(split, tasks, [key for key in NYU13_TASKS if files[key]], normal_axes)
        self._numbers = sorted(files["image"])
        self._files = files
        for key in self.tasks:
            strays = sorted(files[key].keys() - files["image"].keys())
            if strays:
                raise ValueError(
                    f"Every array of task {key!r} needs an image of the same number. Received: "
                    f"'{files[key][strays[0]]}', one of {len(strays)} without. Is the folder "
                    f"'{self._root / 'image'}' complete?"
                )

    @functools.cached_property
    def image_size(self):
        sizes = set()
        for path in self._files["image"].values():
            # A damaged file is reported when it is asked for.
            with contextlib.suppress(Exception):
                sizes.add(_load(path).shape[:2])
        return sizes.pop() if len(sizes) == 1 else None

    def __len__(self):
        return len(self._numbers)

    def _array(self, index, key):
        path = self._files[key].get(self._numbers[index])
        return None if path is None else np.array(_load(path))

    def _where(self, index, key):
        number = self._numbers[index]
        return f"'{self._files[key].get(number, number)}'"


def _split_root(path, split):
    for name in (split, "val") if split == "test" else (split,):
        if (path / name / "image").is_dir():
            return path / name
        if (path / name).is_dir():
            subfolders(path / name)  # raises where `image` is a link that leads nowhere
    splits = sorted(folder.parent.name for folder in path.glob("*/image"))
    raise FileNotFoundError(
        f"There are no arrays for this split in '{path}'. "
        f"Expected: one of {splits}. Received: split={split!r}."
    )


def _files(folder):
    # number -> path
    files = {}
    for path in named_files(folder, (".npy",)):
        if path.stem.isdecimal() and files.setdefault(int(path.stem), path) != path:
            raise ValueError(
                "A number must occur once in a folder. "
                f"Received: '{files[int(path.stem)]}' and '{path}'. Remove one."
            )
    return files


def _load(path):
    # Mapped, because only the header may be asked for, and a damaged one may ask for much memory.
    return np.load(path, mmap_mode="r", allow_pickle=False)
