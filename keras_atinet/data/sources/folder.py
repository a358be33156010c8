"""Aligned files in folders."""

import contextlib
import functools
import pathlib

import numpy as np

from keras_atinet.data.kinds import CLASS_FACTS
from keras_atinet.data.source import Source
from keras_atinet.data.sources.dataset_json import read_dataset_json
from keras_atinet.data.sources.file_names import files_by_name, subfolders
from keras_atinet.data.sources.folder_facts import (
    checked_facts,
    default_tasks,
    guess_tasks,
    notes,
    subfolder,
)
from keras_atinet.data.sources.pictures import (
    PICTURES,
    SIDEWAYS,
    UPRIGHT,
    stored_image,
    stored_size,
    upright,
)
from keras_atinet.data.sources.target_files import (
    read_depth,
    read_labels,
    read_normals,
    read_quantity,
    stored_labels,
    target_size,
)

_READERS = {
    "segmentation": read_labels,
    "depth": read_depth,
    "normal": read_normals,
    "quantity": read_quantity,
}
_MASKS = 20  # to look at, at least


class Folder(Source):
    """Reads a folder of aligned files: `{split}/image/NAME.jpg`, `{split}/depth/NAME.png`, ...

    A picture and its targets have the same name and size. A target may be absent for some
    pictures. Class labels are PNG (ignored: 255 with up to 255 classes), depth is 16-bit PNG in
    millimetres (0 = ignored) or float TIFF in metres, normals are RGB pictures of
    `round((n + 1) * 127.5)`; all may be `.npy` arrays, of labels with -1 = ignored.

    Images are turned as their EXIF orientation says, targets never; where an image has the size
    of its targets only as it is stored, it is not turned. Where sizes do not tell, `dataset.json`
    can: `exif_orientation`, `"apply"` (default) or `"ignore"`, of all images.

    An optional `dataset.json` in the folder has `tasks`: task key -> `kind` (as in `Source`; by
    default what the key begins with), `folder`, `num_classes`, `ignore_class` (a label to ignore
    too), `values` (stored label -> class, or null to ignore it), `class_names`, `class_colors`,
    `scale` (metres per unit), `missing` (the depth of ignored pixels), `channels` (of a quantity).
    Without it the folders are `segmentation` (or one that starts with `label`), `depth` and
    `normal`; the number of classes is that in the folder's name (`label13`), or else one more than
    the largest label found, and at least 2.

    Args:
        path: str or path of the folder.
        split: str, the subfolder to read, or None if the folder has no splits.
        tasks: sequence of task keys to read, or None for those named `segmentation`, `depth` and
            `normal`, or else the first of that kind, and all quantities. Other keys of
            `dataset.json`, such as `segmentation40` beside `segmentation`, are read when asked for.

    Raises:
        FileNotFoundError: if the folder, the split, its pictures or a task are not there.
        ValueError: if a target has no picture, a file is invalid, or the masks of two classes have
            the labels 0 and 255 only, and nothing says what 255 is.
        ImportError: when a picture is read and Pillow is not installed.

    Example:

    ```python
    train = Folder("nyuv2", split="train")
    sample = train[0]
    sample["depth"].shape  # (288, 384, 1)
    ```
    """

    def __init__(self, path, split="train", tasks=None):
        self.path = pathlib.Path(path)
        self.split = split
        self._root = _split_root(self.path, split)
        self._images = self._files(self._root / "image", PICTURES)
        if not self._images:
            raise FileNotFoundError(
                f"A split needs pictures ({', '.join(PICTURES)}) in its folder `image`. "
                f"Received: '{self._root / 'image'}', which has none."
            )
        self._names = sorted(self._images)
        self._description = read_dataset_json(self.path)
        stated = self._description.get("tasks") or guess_tasks(self._root)
        keys = default_tasks(stated) if tasks is None else list(tasks)
        self._facts = {key: checked_facts(self.path, key, stated) for key in keys}
        self._targets = {key: self._target_files(key) for key in keys}
        for key, facts in self._facts.items():
            if facts["kind"] == "segmentation":
                self._settle_classes(key, facts, list(self._targets[key].values()))
        self.tasks = {key: _public(facts) for key, facts in self._facts.items()}
        self.notes = notes(self._facts, tasks, stated)

    @functools.cached_property
    def image_size(self):
        if "image_size" in self._description:
            return tuple(self._description["image_size"])
        sizes = {self._upright_size(name) for name in self._names}
        return sizes.pop() if len(sizes) == 1 else None

    def __len__(self):
        return len(self._names)

    def __getitem__(self, index):
        sample, errors = self.read(index)
        if errors:
            raise errors[0]
        return sample

    def read(self, index):
        name = self._names[self._position(index)]
        sample, errors = {}, []
        for key, files in {"image": self._images, **self._targets}.items():
            if name in files:
                with _naming(key, errors):
                    array = self._image(name) if key == "image" else self._read(key, files[name])
                    self._check_size(name, files[name], array, sample.get("image"))
                    sample[key] = array
        return sample, errors

    def where(self, index):
        return f"'{self._images[self._names[index]]}'"

    def _image(self, name):
        stored, orientation = stored_image(self._images[name])
        return upright(stored, self._orientation(name, stored.shape[:2], orientation))

    def _upright_size(self, name):
        size, orientation = stored_size(self._images[name])
        is_turned = self._orientation(name, size, orientation) in SIDEWAYS
        return size[::-1] if is_turned else size

    def _turn(self, name):
        # For messages, how an image was turned.
        orientation = self._orientation(name, *stored_size(self._images[name]))
        return f", turned by its EXIF orientation {orientation}" if orientation != UPRIGHT else ""

    def _orientation(self, name, size, orientation):
        # The turn to apply to an image of a stored size; its targets are as they are.
        stated = self._description.get("exif_orientation")
        if orientation == UPRIGHT or stated == "ignore":
            return UPRIGHT
        paths = [files[name] for files in self._targets.values() if name in files]
        if stated == "apply" or not paths:
            return orientation
        if orientation not in SIDEWAYS or size[0] == size[1]:
            self._doubt_turn(name)
            return orientation
        sizes = set()
        for path in paths:
            # What cannot be read is reported with its sample.
            with contextlib.suppress(ValueError):
                sizes.add(target_size(path))
        fits_as_stored = size in sizes and size[::-1] not in sizes
        return UPRIGHT if fits_as_stored else orientation

    def _target_files(self, key):
        folder = subfolder(self._root, self._facts[key]["folder"])
        if not folder.is_dir():
            raise FileNotFoundError(
                f"The folder of task {key!r} is missing. Expected: '{folder}'. Received: "
                f"{subfolders(self._root)}. Choose other `tasks`, or make the folder, empty if "
                "no picture of this split has the target."
            )
        files = self._files(folder, (*PICTURES, ".npy"))
        strays = sorted(files.keys() - self._images.keys())
        for stray in strays:
            self._refuse(
                f"Every file of task {key!r} needs a picture of the same name in "
                f"'{self._root / 'image'}'. Received: '{files[stray]}', one of {len(strays)} "
                "without. Is the folder complete?"
            )
        return files

    def _files(self, folder, suffixes):
        return files_by_name(folder, suffixes, self._refuse)

    def _check_size(self, name, path, array, image):
        size = array.shape[:2]
        if image is not None and image.shape[:2] != size:
            raise ValueError(
                f"A target must be as large as its picture. Received: '{path}' of {size} for "
                f"'{self._images[name]}' of {image.shape[:2]} pixels{self._turn(name)}."
            )
        stated = tuple(self._description.get("image_size", size))
        if image is None and stated != size:
            raise ValueError(
                f"A picture must have the `image_size` of dataset.json, {stated}. Received: "
                f"'{path}' of {size} pixels. Correct it there, or leave it out."
            )

    def _read(self, key, path):
        facts = self._facts[key]
        return _READERS[facts["kind"]](path, facts)

    def _settle_classes(self, key, facts, paths):
        if "num_classes" in facts:
            is_mask = facts["num_classes"] == 2
        else:
            with _naming(key):
                found = self._count_classes(paths, facts)
            facts["num_classes"], is_mask = max(found, 2), found < 2
            facts["counted_classes"] = True
            if found > 1:
                facts["classes_from"] = "one more than the largest label"
        if is_mask and not facts.keys() & {"values", "ignore_class"} and _has_only_255(paths):
            folder = f'"folder": "{facts["folder"]}"'
            self._refuse(
                f"The masks of task {key!r} have no class but 0, and 255, which would be ignored. "
                f"Received: '{self._root / facts['folder']}'. State in dataset.json what 255 is: "
                f'{{"tasks": {{"{key}": {{{folder}, "values": {{"0": 0, "255": 1}}}}}}}} if it is '
                'the object, or `"ignore_class": 255` there if it is to be ignored.'
            )

    def _count_classes(self, paths, facts):
        return 1 + max((int(read_labels(path, facts).max()) for path in paths), default=0)

    def _doubt_turn(self, name):
        # `keras-atinet data verify` overrides it, to name pictures whose targets may not be turned.
        pass

    def _refuse(self, text):
        # `keras-atinet data verify` overrides it, to find every fault.
        raise ValueError(text)


@contextlib.contextmanager
def _naming(key, errors=None):
    # Errors say which key of the sample they are about; they are collected if there is a list.
    try:
        yield
    except ValueError as error:
        named = ValueError(f"The {key!r} of a sample cannot be read. {error}")
        if errors is None:
            raise named from error
        named.__cause__ = error
        errors.append(named)


def _has_only_255(paths):
    # Whether 255 occurs in some masks, and nothing but 0 beside it.
    found = set()
    for path in paths[:: max(1, len(paths) // _MASKS)]:
        # What cannot be read is reported with its sample.
        with contextlib.suppress(ValueError):
            found.update(np.unique(stored_labels(path)).tolist())
        if not found <= {0, 255}:
            return False
    return 255 in found


def _split_root(path, split):
    if not path.is_dir():
        raise FileNotFoundError(f"`path` must be a folder. Received: path='{path}'.")
    if split is None or (path / split / "image").is_dir():
        return path if split is None else path / split
    if (path / split).is_dir():
        subfolders(path / split)  # raises where `image` is a link that leads nowhere
    splits = [name for name in subfolders(path) if (path / name / "image").is_dir()]
    if (path / "image").is_dir():
        hint = "The folder has no splits; read it with split=None."
    elif (path / split).is_dir():
        hint = f"The folder '{path / split}' has no subfolder `image`; is it complete?"
    else:
        hint = "Choose one that is there." if splits else "The folder has no pictures."
    raise FileNotFoundError(
        f"There are no pictures for this split in '{path}'. "
        f"Expected: one of {splits}. Received: split={split!r}. {hint}"
    )


def _public(facts):
    names = ["kind", "channels", "counted_classes", *CLASS_FACTS]
    if facts.get("ignore_class", -1) not in range(facts.get("num_classes", 0)):
        names.remove("ignore_class")  # no class: the labels are -1
    return {name: facts[name] for name in names if name in facts}
