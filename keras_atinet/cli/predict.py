"""`keras-atinet predict`."""

import functools
import pathlib
import sys

import keras
import numpy as np

from keras_atinet import files, runs
from keras_atinet.cli.data.sources import is_verbose
from keras_atinet.cli.paths import visible
from keras_atinet.data import resize
from keras_atinet.data.batching.parallel import in_order
from keras_atinet.data.sources.file_names import named_files
from keras_atinet.data.sources.pictures import PICTURES, read_image
from keras_atinet.data.sources.pillow import pillow

_BATCH = 8  # pictures
_READERS = 2  # threads


def run(arguments, argv):
    """Writes pictures and arrays of what a model predicts; the exit status is 1 after a fault."""
    out = pathlib.Path(arguments.out)
    paths = find_pictures(arguments.images, out)
    names = unique_names(paths)
    model = runs.load_model(runs.find_model(arguments.model)[0])
    if len(paths) > 1:
        print(f"{len(paths)} pictures")
    files.make_folder(out)
    bar = keras.utils.Progbar(len(paths), unit_name="picture") if is_verbose(arguments) else None
    read = functools.partial(_read, size=model.input_shape[1:3])
    waiting, faults = [], []
    for number, result in enumerate(in_order(read, paths, _READERS), start=1):
        if isinstance(result, ValueError):
            faults.append(result)
        else:
            waiting.append((names[number - 1], *result))
        if len(waiting) == _BATCH or (waiting and number == len(paths)):
            _predict(model, waiting, out)
            waiting = []
        if bar:
            bar.update(number)
    for path, name in zip(paths, names, strict=True):
        if name != path.stem:
            print(visible(f"{path}: NAME is {name}"))
    if len(faults) < len(paths):
        name = names[0] if len(paths) == 1 else "NAME"
        written = ", ".join([f"{name}.npz", *(f"{name}_{task.name}.png" for task in model.tasks)])
        print(visible(f"{len(paths) - len(faults)} predicted, in {out}: {written}"))
    for fault in faults:
        print(f"keras-atinet: error: {visible(str(fault))}", file=sys.stderr)
    return 1 if faults else 0


def find_pictures(places, out):
    """The picture files at some places, those of a folder in the order of their names.

    Args:
        places: list of str, files of any suffix and folders.
        out: `pathlib.Path`, the folder to write to.

    Returns:
        list of `pathlib.Path`.

    Raises:
        FileNotFoundError: if a place is not there, or is a folder without pictures.
        ValueError: if a folder is that to write to.
    """
    paths = []
    for place in map(pathlib.Path, places):
        if not place.is_dir():
            if not place.is_file():
                raise FileNotFoundError(f"There is no such image file. Received: '{place}'.")
            paths.append(place)
            continue
        if out.resolve() == place.resolve():
            raise ValueError(
                "Predictions must not be written among the pictures of a folder, or they would be "
                f"predicted next time. Received: --out {out}. Choose another folder."
            )
        found = list(named_files(place, PICTURES))
        if not found:
            raise FileNotFoundError(
                f"The folder needs pictures ({', '.join(PICTURES)}). Received: '{place}', which "
                f"has none. {_hint(place)}"
            )
        paths += found
    return paths


def _hint(folder):
    # Those of a data set are in SPLIT/image.
    inner = {*folder.glob("image/"), *folder.glob("*/image/")} or {*folder.glob("*/")}
    filled = [str(path) for path in sorted(inner) if any(named_files(path, PICTURES))]
    return f"There are some in: {', '.join(filled[:3])}." if filled else "Choose another folder."


def unique_names(paths):
    """Names for the predictions: the files' stems, numbered where they occur more than once."""
    names, taken = [], set()
    for path in paths:
        name, number = path.stem, 1
        while name.lower() in taken:
            number += 1
            name = f"{path.stem}-{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def _read(path, size):
    # The image at the network's size and its own size, or what is wrong with it.
    try:
        pixels = read_image(path)
    except ValueError as error:
        return error
    return resize({"image": pixels}, size)["image"], pixels.shape[:2]


def _predict(model, pictures, out):
    names, images, sizes = zip(*pictures, strict=True)
    outputs = model.predict(np.stack(images), verbose=0)
    for index, (name, size) in enumerate(zip(names, sizes, strict=True)):
        decoded = {task.name: task.decode(outputs[task.name][index]) for task in model.tasks}
        with files.replacing(out / f"{name}.npz") as new:
            for task in model.tasks:
                picture = _picture(task, decoded[task.name], size)
                picture.save(new.with_name(f"{name}_{task.name}.png"))
            np.savez_compressed(new, **decoded)


def _picture(task, prediction, size):
    image = pillow()
    is_class = np.issubdtype(prediction.dtype, np.integer)
    resample = image.Resampling.NEAREST if is_class else image.Resampling.BILINEAR
    return image.fromarray(task.colorize(prediction)).resize((size[1], size[0]), resample)
