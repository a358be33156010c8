"""`keras-atinet predict`."""

import pathlib

import numpy as np

from keras_atinet import runs
from keras_atinet.data import resize
from keras_atinet.data.sources.pillow import pillow


def run(arguments, argv):
    """Writes pictures and arrays of what a model predicts for image files."""
    paths = [pathlib.Path(path) for path in arguments.images]
    out = pathlib.Path(arguments.out)
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"There is no such image file. Received: '{path}'.")
    model = runs.load_model(runs.find_model(arguments.model)[0])
    out.mkdir(parents=True, exist_ok=True)
    for path, name in zip(paths, unique_names(paths), strict=True):
        pixels = read_image(path)
        image = resize({"image": pixels}, model.input_shape[1:3])["image"]
        outputs = model.predict(image[None], verbose=0)
        decoded = {task.name: task.decode(outputs[task.name][0]) for task in model.tasks}
        np.savez_compressed(out / f"{name}.npz", **decoded)
        for task in model.tasks:
            picture = _picture(task, decoded[task.name], pixels.shape[:2])
            picture.save(out / f"{name}_{task.name}.png")
        print(f"{path}: {out / name}.npz, {out / name}_*.png")


def read_image(path):
    """Pixels of an image file, turned upright: float32 `(height, width, 3)` in [0, 1].

    Raises:
        ValueError: if the file cannot be read.
    """
    image = pillow()
    from PIL import ImageOps

    try:
        with image.open(path) as picture:
            picture = ImageOps.exif_transpose(picture).convert("RGB")
    # Pillow reports some kinds of damage to PNG files as a SyntaxError.
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError) as error:
        raise ValueError(f"The image cannot be read. Received: '{path}' ({error}).") from error
    return np.asarray(picture, "float32") / 255


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


def _picture(task, prediction, size):
    image = pillow()
    is_class = np.issubdtype(prediction.dtype, np.integer)
    resample = image.Resampling.NEAREST if is_class else image.Resampling.BILINEAR
    return image.fromarray(task.colorize(prediction)).resize((size[1], size[0]), resample)
