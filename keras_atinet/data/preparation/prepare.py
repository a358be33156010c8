"""Writes the prepared format."""

import json
import os
import pathlib

import keras

from keras_atinet.data.batching.parallel import in_order
from keras_atinet.data.kinds import described
from keras_atinet.data.preparation.appender import Appender
from keras_atinet.data.preparation.description import DESCRIPTION, FORMAT, PRESENT
from keras_atinet.data.preparation.locking import only_one
from keras_atinet.data.preparation.prepared import Prepared
from keras_atinet.data.preparation.problems import problems
from keras_atinet.data.source import Source
from keras_atinet.data.transforms.resize import resize
from keras_atinet.files import UNFINISHED, explaining, make_folder, read_json, sync_folder
from keras_atinet.version import __version__

_MAY_CHANGE = ("version", "written")


def prepare(sources, out, image_size=None, workers=2, verbose=1):
    """Writes sources as arrays that `Prepared` reads, many times faster than files of pictures.

    It can be stopped at any moment, by Ctrl-C or by a power cut; the same call resumes. The folder
    of an incomplete split ends with `.part`.

    Args:
        sources: a `Source`, or a sequence of them with different splits.
        out: str or path of the folder to write: new, empty, or one that `prepare` has begun.
        image_size: `(height, width)` to resize to, or None for the sources' own.
        workers: int, threads that read samples.
        verbose: 1 for a progress bar, 0 for none.

    Returns:
        list of `Prepared`, one for each source.

    Raises:
        ValueError: if a sample violates the contract of `Source`, the sizes vary and `image_size`
            is not given, or two tasks would be written to one file.
        FileExistsError: if the folder holds something else, or another process writes to it.

    Example:

    ```python
    train, test = prepare([Folder("nyuv2", "train"), Folder("nyuv2", "test")], "nyuv2-fast")
    ```
    """
    sources = [sources] if isinstance(sources, Source) else list(sources)
    out = pathlib.Path(out)
    plans = {name: _plan(source, image_size) for name, source in _named(sources).items()}
    _check_folder(out, plans)
    for (name, plan), source in zip(plans.items(), sources, strict=True):
        _prepare_split(source, plan, out / name, workers, verbose)
    return [Prepared(out, name) for name in plans]


def _named(sources):
    named = {source.split or "all": source for source in sources}
    if len(named) < len(sources) or any("/" in name or "." in name for name in named):
        raise ValueError(
            "Each source needs a split of its own, the name of the folder to write. "
            f"Received: {[source.split for source in sources]}."
        )
    return named


def _plan(source, image_size):
    # The description of a split; "written" counts the samples that are safe on the disk.
    image_size = image_size or source.image_size
    if image_size is None:
        raise ValueError(
            "The pictures of this source differ in size. Received: image_size=None. "
            "Choose one, for instance image_size=(288, 384)."
        )
    tasks = described(source.tasks)
    # Some systems do not tell capitals apart.
    names = [name.lower() for name in ("image", PRESENT, *tasks)]
    if len(set(names)) < len(names):
        raise ValueError(
            f"Every task needs a file of its own, beside 'image.npy' and '{PRESENT}.npy'. "
            f"Received: the tasks {list(tasks)}. Rename one."
        )
    return {
        "format": FORMAT,
        "version": __version__,
        "source": _origin(source),
        "image_size": [int(side) for side in image_size],
        "samples": len(source),
        "written": 0,
        "tasks": json.loads(json.dumps(tasks)),
    }


def _origin(source):
    path = getattr(source, "path", None)
    return str(path.resolve() if isinstance(path, pathlib.Path) else path or type(source).__name__)


def _check_folder(out, plans):
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"Data is prepared into a folder. Received: '{out}', a file.")
    for entry in sorted(out.iterdir()) if out.exists() else ():
        # A lock, or what systems leave in every folder they have shown.
        is_hidden = entry.name.startswith(".")
        if not is_hidden and not (entry / DESCRIPTION).is_file() and not _is_bare_part(entry):
            raise FileExistsError(
                "Data is prepared into a new or an empty folder, or into one that was begun. "
                f"Received: '{out}', which holds '{entry.name}'. Choose another."
            )
    for name, plan in plans.items():
        for folder in (out / name, _unfinished(out / name)):
            if (folder / DESCRIPTION).is_file():
                _check_same(folder, plan)


def _check_same(folder, plan):
    stored = read_json(folder / DESCRIPTION)
    changed = [key for key in plan if stored.get(key) != plan[key] and key not in _MAY_CHANGE]
    if changed:
        raise FileExistsError(
            f"'{folder}' was prepared from other data or in another way. Its {changed[0]!r} was "
            f"{stored.get(changed[0])}. Received: {plan[changed[0]]}. "
            "Remove it, or choose another folder."
        )


def _is_bare_part(entry):
    # Killed before it had a description, which comes first.
    return entry.suffix == UNFINISHED and entry.is_dir() and not any(entry.glob("*.npy"))


def _unfinished(folder):
    return folder.with_name(folder.name + UNFINISHED)


def _prepare_split(source, plan, folder, workers, verbose):
    def load(index):
        sample = source[index]
        kept = {key: sample[key] for key in ("image", *plan["tasks"]) if key in sample}
        for problem in problems(kept, plan["tasks"]).values():
            raise ValueError(
                f"A sample cannot be prepared. {problem} Received: {source.where(index)} of "
                f"'{plan['source']}', split {folder.name!r}."
            )
        return resize(kept, plan["image_size"], plan["tasks"])

    make_folder(folder.parent)
    with only_one(folder.with_name(f".{folder.name}.lock")):
        if folder.is_dir():
            return
        with Appender(_unfinished(folder), plan) as writer:
            unit = f"{folder.name} sample"
            bar = keras.utils.Progbar(plan["samples"], verbose=verbose, unit_name=unit)
            for sample in in_order(load, range(writer.written, plan["samples"]), workers):
                writer.append(sample)
                bar.update(writer.written)
        with explaining(folder):
            os.replace(_unfinished(folder), folder)
        sync_folder(folder.parent)
