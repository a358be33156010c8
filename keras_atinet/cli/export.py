"""`keras-atinet export`."""

import importlib.util
import pathlib
import tempfile

import numpy as np

from keras_atinet import exporting, runs
from keras_atinet.data import Subset, splits
from keras_atinet.files import read_json
from keras_atinet.models.presets.files import CARD
from keras_atinet.settings import PRESET, PRESET_DTYPES

_CALIBRATION_IMAGES = 200
_SCORES = {"images", "image_size", "split", "results", "class_iou"}


def run(arguments, argv):
    """Writes a trained model for another runtime, and runs it there on one image; or a preset."""
    file, folder = runs.find_model(arguments.model)
    if arguments.format == PRESET:
        _write_preset(arguments, file, folder)
        return
    form = exporting.FORMATS[arguments.format]
    model = runs.load_model(file)
    size, batch_size = arguments.image_size or model.input_shape[1:3], arguments.batch_size or 1
    out = pathlib.Path(arguments.out or _default_path(file, form, arguments.int8))
    options = {
        "input_shape": _input_shape(arguments, model.input_shape[-1]),
        "batch_size": arguments.batch_size,
    }
    if arguments.int8:
        source = _calibration_source(arguments, file, folder)
        images = exporting.calibration_images(source, size, batch_size)
        with tempfile.TemporaryDirectory() as temporary:
            path = pathlib.Path(temporary) / f"float32{form.suffix}"
            exporting.export_model(model, path, arguments.format, **options)
            exporting.quantize(path, out, images)
    else:
        exporting.export_model(model, out, arguments.format, **options)
    kind = "int8" if arguments.int8 else "float32"
    print(f"{out}: {_megabytes(out):.1f} MB for {form.title}, {kind}")
    if not importlib.util.find_spec(exporting.RUNTIMES[arguments.format]):
        print(f"Not run: {exporting.RUNTIMES[arguments.format]} is not installed.")
        return
    for name, difference in _differences(model, out, size, batch_size).items():
        print(f"{name:14}mean difference from Keras {difference:.1e}")


def _write_preset(arguments, file, folder):
    if file.is_dir() and not arguments.out:
        raise ValueError("`--out` is missing: the folder to write a preset of a preset to.")
    out = pathlib.Path(arguments.out or file.with_name(PRESET))
    scores = arguments.scores and _read_scores(arguments.scores)
    notes = arguments.notes and _read_text(arguments.notes)
    model = runs.load_model(file, compile=False)
    if file.is_dir() and not (scores or notes):
        card = _read_text(file / CARD) if (file / CARD).is_file() else None
    else:
        is_best = folder is not None and file == folder.best
        card = runs.run_card(model, out.absolute().name, folder, is_best, scores, notes)
    model.save_to_preset(out, arguments.dtype or PRESET_DTYPES[0], card)
    print(f"{out}: {_megabytes(out):.1f} MB, a preset of {type(model).__name__}")
    if not notes:
        print(f"To complete by hand before others get it: {out / CARD}")


def _read_scores(path):
    scores = read_json(path)
    if not set(scores) >= _SCORES:
        raise ValueError(
            f"`--scores` is a file that `keras-atinet evaluate --json` wrote. Received: '{path}', "
            f"without {', '.join(sorted(_SCORES - set(scores)))}."
        )
    return scores


def _read_text(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"A text must be UTF-8. Received: '{path}'.") from error


def _input_shape(arguments, channels):
    if arguments.any_size:
        return (None, None, channels)
    return (*arguments.image_size, channels) if arguments.image_size else None


def _calibration_source(arguments, file, folder):
    if arguments.data is None and folder is None:
        raise ValueError(
            f"'{file}' lies in no run folder, whose config.json would tell the images for "
            "`--int8`. Say it: --data rooms, or --data DIR."
        )
    settings = {**runs.DEFAULT}
    if folder:
        settings |= folder.read_config()["settings"]
    if arguments.data is not None:
        settings |= {"data": arguments.data, "splits": splits(arguments.data)}
    settings["tasks"] = None  # any: only the images count
    source = runs.get_source(settings, settings["splits"][0])
    if len(source) < (arguments.batch_size or 1):
        raise ValueError(
            f"`--int8` needs a batch of images. Received: {len(source)} images, "
            f"--batch-size {arguments.batch_size}. Take a smaller one."
        )
    count = arguments.calibration_images or _CALIBRATION_IMAGES
    return Subset(source, max(count, arguments.batch_size or 1))


def _default_path(file, form, int8):
    return file.with_name(f"{file.stem}{'-int8' if int8 else ''}{form.suffix or '-saved_model'}")


def _megabytes(path):
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
    kept = (path.suffix, ".bin") if path.suffix == ".xml" else (path.suffix,)
    sizes = [f.stat().st_size for f in files if f.is_file() and (path.is_dir() or f.suffix in kept)]
    return sum(sizes) / 1e6


def _differences(model, path, size, batch_size):
    shape = (batch_size, *size, model.input_shape[-1])
    images = np.random.default_rng(0).random(shape, dtype="float32")
    outputs = exporting.ExportedModel(path)(images)
    expected = model.for_inference(shape[1:], dtype="float32").predict(images, verbose=0)
    return {name: np.abs(outputs[name] - expected[name]).mean() for name in expected}
