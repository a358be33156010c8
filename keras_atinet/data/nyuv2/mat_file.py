"""NYUv2 in its original form, the labelled MATLAB file."""

import os
import pathlib

import numpy as np

from keras_atinet.data.nyuv2.classes import class_table, nyuv2_tasks
from keras_atinet.data.nyuv2.splits import published_split, read_split
from keras_atinet.data.source import Source, chosen_tasks
from keras_atinet.data.transforms.normals_from_depth import normals_from_depth
from keras_atinet.data.transforms.resize import resize
from keras_atinet.files import one_line

_NAME, _NUM_SAMPLES = "nyu_depth_v2_labeled", 1449
# What the depth camera sees, 4 to 3 (0-based). Outside there is a white frame.
_ROWS, _COLUMNS = slice(47, 467), slice(41, 601)
_CAMERA = (518.857901, 519.469611, 325.582449, 253.736166)
_FIELDS = {
    "image": ("images", 3),
    "segmentation": ("labels", 0),
    "depth": ({"raw": "rawDepths", "filled": "depths"}, 0),
}


class NYUv2Mat(Source):
    """Reads `nyu_depth_v2_labeled.mat`: the 1449 labelled pictures of NYUv2, sample by sample.

    Pictures are cropped to rows 47 to 466 and columns 41 to 600, the part that the depth camera
    sees, and resized as `resize` does. Classes 1 to 894 become the usual 40 or 13. Normals are
    computed from depth before it is resized.

    The published splits of the 1449 pictures and the tables of classes are part of this package. A
    `splits.mat` beside the file is read instead. A file with fewer pictures needs one, which may be
    called `splits_6.mat` for `nyu_depth_v2_labeled_6.mat`.

    Args:
        path: str or path of the file, or of the folder that has it.
        split: `"train"` (795) or `"test"` (654).
        num_classes: 13 or 40.
        depth: `"raw"` as measured, with holes, or `"filled"` by colours, without.
        image_size: `(height, width)` in pixels, or None for 420 x 560.
        tasks: sequence of task keys to read, or None for all three.
        splits: path of a MATLAB file with other splits, `trainNdxs` and `testNdxs`, 1-based.

    Attributes:
        intrinsics: `(fx, fy, cx, cy)` of the cropped and resized pictures in pixels.

    Raises:
        ImportError: if h5py is not installed, or SciPy, which reads splits.
        FileNotFoundError: if the file, or one of splits that it needs, is not there.
        ValueError: if an argument is none of these, or a file is damaged.

    Example:

    ```python
    train = NYUv2Mat("nyu_depth_v2_labeled.mat", split="train", num_classes=40)
    train[0]["segmentation"].shape  # (288, 384)
    ```

    Reference: Silberman et al., Indoor Segmentation and Support Inference from RGBD Images,
    ECCV 2012.
    """

    def __init__(
        self,
        path,
        split="train",
        num_classes=13,
        depth="raw",
        image_size=(288, 384),
        tasks=None,
        splits=None,
    ):
        for name, value, choices in (
            ("split", split, ("train", "test")),
            ("num_classes", num_classes, (13, 40)),
            ("depth", depth, ("raw", "filled")),
        ):
            if value not in choices:
                raise ValueError(f"`{name}` must be one of {choices}. Received: {name}={value!r}.")
        self.path = _mat_file(pathlib.Path(path))
        self.split, self.num_classes, self.depth = split, num_classes, depth
        self.image_size = (420, 560) if image_size is None else tuple(image_size)
        self._forget()
        self._indices = self._split_indices(splits)
        self._classes = class_table(num_classes)
        tasks_of_file = nyuv2_tasks(num_classes)
        self.tasks = {key: dict(tasks_of_file[key]) for key in chosen_tasks(tasks, tasks_of_file)}

    @property
    def intrinsics(self):
        fx, fy, cx, cy = _cropped_camera()
        vertical, horizontal = self.image_size[0] / 420, self.image_size[1] / 560
        cx, cy = (cx + 0.5) * horizontal - 0.5, (cy + 0.5) * vertical - 0.5
        return fx * horizontal, fy * vertical, cx, cy

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, index):
        index = self._indices[self._position(index)]
        sample = {"image": self._read(index, "image").astype(np.float32) / 255.0}
        if "segmentation" in self.tasks:
            sample["segmentation"] = self._labels(index)
        if "depth" in self.tasks or "normal" in self.tasks:
            depth = self._read(index, "depth")[..., None].astype(np.float32)
            depth = np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))
        if "depth" in self.tasks:
            sample["depth"] = depth
        if "normal" in self.tasks:
            sample["normal"] = normals_from_depth(depth, _cropped_camera(), radius=7)
        return resize(sample, self.image_size, self.tasks)

    def where(self, index):
        return f"sample {self._indices[index] + 1} in '{self.path}'"

    def __getstate__(self):
        return {**vars(self), "_opened": (None, None)}

    def _split_indices(self, splits):
        num_samples = self._check()
        if splits is None:
            splits = _splits_beside(self.path)
            if not splits.is_file() and num_samples == _NUM_SAMPLES:
                return published_split(self.split)
        return read_split(pathlib.Path(splits), self.split, num_samples)

    def _forget(self):
        self._opened = None, None  # process, file

    def _file(self):
        # A file must not be shared with a forked process; h5py lets threads in one by one.
        if self._opened[0] != os.getpid():
            self._opened = os.getpid(), _open(self.path)
        return self._opened[1]

    def _field(self, key):
        name, channels = _FIELDS[key]
        return (name[self.depth] if isinstance(name, dict) else name), channels

    def _check(self):
        # The number of samples, if all fields are there.
        lengths = set()
        for key in _FIELDS:
            name, channels = self._field(key)
            expected = (3, 640, 480) if channels else (640, 480)
            # Damage, and links that form a loop, are reported by exceptions of many kinds.
            try:
                field = self._file().get(name)
                shape = getattr(field, "shape", ())
            except (ValueError, ImportError):
                raise
            except Exception as error:
                field, shape = one_line(error), ()
            if len(shape) != 1 + len(expected) or shape[1:] != expected:
                raise ValueError(
                    f"The file needs the field {name!r} with shape (N, *{expected}). Received: "
                    f"{key!r} as {field} in '{self.path}'."
                )
            lengths.add(shape[0])
        return min(lengths)

    def _read(self, index, key):
        # One cropped array (H, W) or (H, W, 3); MATLAB's order of axes is the other way round.
        name, _ = self._field(key)
        try:
            array = self._file()[name][index]
        except Exception as error:
            raise ValueError(
                "The sample cannot be read; the file may be damaged. Received: "
                f"{key!r} (`{name}`) of sample {index + 1} in '{self.path}' ({one_line(error)}). "
                "Download it again."
            ) from error
        return np.ascontiguousarray(array.T[_ROWS, _COLUMNS])

    def _labels(self, index):
        labels = self._read(index, "segmentation")
        if labels.dtype.kind not in "ui" or labels.max() >= len(self._classes):
            raise ValueError(
                f"Classes must be whole numbers in [0, {len(self._classes)}). Received: class "
                f"{labels.max()} in 'segmentation' of sample {index + 1} in '{self.path}'."
            )
        return self._classes[labels]


def _mat_file(path):
    # The file itself, or the only one in a folder.
    found = [path] if path.is_file() else sorted(path.glob(f"{_NAME}*.mat"))
    if len(found) != 1:
        raise FileNotFoundError(
            f"`path` must be '{_NAME}.mat' or the folder that has it. Received: path='{path}', "
            f"with {[file.name for file in found]}. "
            "Get it from cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html."
        )
    return found[0]


def _splits_beside(path):
    own = path.with_name(f"splits{path.stem.removeprefix(_NAME)}.mat")
    return own if own.is_file() else path.with_name("splits.mat")


def _cropped_camera():
    fx, fy, cx, cy = _CAMERA
    return fx, fy, cx - _COLUMNS.start, cy - _ROWS.start


def _open(path):
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "Reading NYUv2's MATLAB file needs h5py. "
            "Install it with `pip install keras-atinet[data]`."
        ) from error
    try:
        return h5py.File(path, "r")
    except Exception as error:
        raise ValueError(
            f"This is no MATLAB 7.3 file, or it was cut short. Received: '{path}' "
            f"({one_line(error)}). Download it again."
        ) from error
