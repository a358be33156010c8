"""`keras-atinet predict`."""

import collections
import glob
import os
import pathlib
import sys
import time

import keras

from keras_atinet import files
from keras_atinet.cli.data.sources import is_verbose
from keras_atinet.cli.paths import is_pattern, visible
from keras_atinet.data.batching.parallel import in_order
from keras_atinet.data.sources.file_names import named_files
from keras_atinet.data.sources.pictures import PICTURES
from keras_atinet.prediction import Predictor, read_picture
from keras_atinet.prediction.point_cloud import DEFAULT_FOV, field_of_view
from keras_atinet.prediction.video import open_video, predict_video
from keras_atinet.prediction.writing import can_draw, file_names, find_task, write_predictions
from keras_atinet.settings import PRESETS
from keras_atinet.tasks import DepthEstimation

_READERS = 2  # threads
_WRITERS = 2  # each holds the maps of one picture


def run(arguments, argv):
    """Writes pictures and arrays of what a model predicts; the exit status is 1 after a fault."""
    out = pathlib.Path(arguments.out)
    paths = find_pictures(arguments.images, out)
    video = open_video(arguments.video) if arguments.video else None
    print_model(arguments.model)
    predictor = Predictor(arguments.model)
    if arguments.point_cloud and not find_task(predictor.tasks, DepthEstimation):
        names = ", ".join(task.name for task in predictor.tasks)
        raise ValueError(
            f"`--point-cloud` needs a model that predicts depth. Received: one of {names}. "
            "Choose another `--model`."
        )
    files.make_folder(out)
    status = _predict_pictures(predictor, paths, out, arguments) if paths else 0
    if video:
        _predict_video(predictor, video, out, is_verbose(arguments))
    return status


def _predict_pictures(predictor, paths, out, arguments):
    names = unique_names(paths)
    if len(paths) > 1:
        print(f"{len(paths)} pictures")
    bar = keras.utils.Progbar(len(paths), unit_name="picture") if is_verbose(arguments) else None
    start, faults, notes = time.monotonic(), [], []
    for number, result in enumerate(_results(predictor, paths, names, arguments), start=1):
        if isinstance(result, ValueError):
            faults.append(result)
        else:
            notes += result
        if bar:
            bar.update(number)
    seconds = time.monotonic() - start
    pairs = zip(paths, names, strict=True)
    notes += [f"{path}: NAME is {name}" for path, name in pairs if name != path.stem]
    print_notes(dict.fromkeys(notes))
    if len(faults) < len(paths):
        name = names[0] if len(paths) == 1 else "NAME"
        ends = file_names(predictor.tasks, arguments.point_cloud)
        written = ", ".join(f"{name}{end}" for end in ends)
        rate = f", {len(paths) / seconds:.3g} pictures/s" if len(paths) > 1 else ""
        print(visible(f"{len(paths) - len(faults)} predicted{rate}, in {out}: {written}"))
    for fault in faults:
        print(f"keras-atinet: error: {visible(str(fault))}", file=sys.stderr)
    return 1 if faults else 0


def _field_of_view(path, arguments):
    # For a point cloud, if there is to be one, and notes of where it comes from.
    if not arguments.point_cloud or arguments.fov:
        return arguments.fov, []
    found = field_of_view(path)
    source = "by its EXIF data" if found else "a guess; `--fov` gives another"
    fov = found or DEFAULT_FOV
    return fov, [f"Field of view: {fov:.3g} degrees, {source}"]


def _predict_video(predictor, video, out, verbose):
    bar = keras.utils.Progbar(video.num_frames, unit_name="frame") if verbose else None
    start = time.monotonic()
    path = out / f"{video.path.stem}_all.mp4"
    count = predict_video(predictor, video, path, bar and bar.update)
    rate = count / (time.monotonic() - start)
    if bar:
        bar.update(count, finalize=True)  # the number before was an estimate
    print(visible(f"{count} frames predicted, {rate:.3g} frames/s: {path}"))


def print_model(place):
    """Prints which model predicts, and of a preset what it is."""
    about = f" ({PRESETS[place]})" if place in PRESETS else ""
    print(f"Model: {visible(place)}{about}", flush=True)


def print_notes(notes):
    """Prints what was left out or renamed."""
    if not can_draw():
        notes = [*notes, "Without matplotlib nothing is put side by side: `pip install matplotlib`"]
    for note in notes:
        print(visible(note))


def _results(predictor, paths, names, arguments):
    # What `write_predictions` returns for each picture, or the `ValueError` of one that cannot be
    # read. Threads read and write; a large picture is read again when it is drawn on, so that
    # memory holds few of them.
    waiting, faults, out = collections.deque(), collections.deque(), pathlib.Path(arguments.out)

    def read(path):
        try:
            return predictor.prepare(path)
        except ValueError as error:
            return error

    def prepared():
        results = in_order(read, paths, _READERS)
        for path, name, result in zip(paths, names, results, strict=True):
            if isinstance(result, ValueError):
                faults.append(result)
            else:
                waiting.append((path, name))
                yield result

    def write(job):
        path, name, size, outputs = job
        try:
            image = read_picture(path)
        except ValueError as error:
            return error
        fov, notes = _field_of_view(path, arguments)
        maps = predictor.maps(outputs, size)
        return notes + write_predictions(out, name, image, maps, predictor.tasks, fov)

    jobs = ((*waiting.popleft(), *result) for result in predictor.run(prepared()))
    for result in in_order(write, jobs, _WRITERS):
        yield result
        while faults:
            yield faults.popleft()
    yield from faults


def find_pictures(places, out):
    """The picture files at some places, each once; those of a folder in the order of their names.

    Args:
        places: list of str, files of any suffix, folders, and patterns such as `"photos/*.jpg"`.
        out: `pathlib.Path`, the folder to write to; a pattern does not look there.

    Returns:
        list of `pathlib.Path`.

    Raises:
        FileNotFoundError: if a place is not there, or is a folder without pictures.
        ValueError: if a folder is that to write to.
    """
    paths = []
    for place in places:
        if is_pattern(place):
            found = map(pathlib.Path, sorted(glob.glob(str(place), recursive=True)))
            found = [path for path in found if path.is_file() and not _is_in(path, out)]
            if not found:
                raise FileNotFoundError(f"No file fits the pattern. Received: '{place}'.")
            paths += found
        else:
            paths += _pictures_at(pathlib.Path(place), out)
    found = {}
    for path in paths:
        found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _pictures_at(place, out):
    if not place.is_dir():
        if not place.is_file():
            raise FileNotFoundError(f"There is no such image file. Received: '{place}'.")
        return [place]
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
    return found


def _is_in(path, folder):
    return folder.resolve() in path.resolve().parents


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
