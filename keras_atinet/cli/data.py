"""What `keras-atinet data inspect`, `verify` and `prepare` do."""

import inspect as inspection
import pathlib
import shlex
import sys

import keras
import numpy as np

from keras_atinet import runs, visualization
from keras_atinet.data.batching.parallel import in_order
from keras_atinet.data.kinds import kind_of
from keras_atinet.data.opening import open_source, recognize
from keras_atinet.data.preparation.prepare import prepare as write_prepared
from keras_atinet.data.preparation.statistics import Statistics
from keras_atinet.data.preparation.verification import Verification
from keras_atinet.tasks import TASKS

_SHEET_ROWS = 6
_UNREADABLE = (ValueError, OSError)


def inspect(arguments, argv):
    """Prints what data hold, and writes a picture of some samples."""
    form = recognize(arguments.source)
    print(f"{arguments.source}: {form.title}")
    names = arguments.splits or form.splits
    rows, tasks = [], {}
    for split in names:
        source = open_source(arguments.source, split, arguments.tasks, **_options(arguments))
        drawn = [key for key, facts in source.tasks.items() if kind_of(key, facts) in TASKS]
        own = {task.name: task for task in runs.source_tasks(source, drawn)}
        num_rows = max(2, _SHEET_ROWS // len(names))
        rows += _describe(source, _named(source.tasks, own), arguments.num_samples, num_rows)
        # A number of classes that is guessed may be larger in one split.
        tasks |= {
            name: max(task, tasks.get(name, task), key=lambda task: task.channels)
            for name, task in own.items()
        }
    if not rows:
        raise ValueError(
            "There is no sample that can be read. "
            f"Look for faults with: keras-atinet data verify {shlex.quote(arguments.source)}"
        )
    titles, samples = zip(*rows, strict=True)
    figure = visualization.sample_grid(samples, list(tasks.values()), titles)
    out = pathlib.Path(arguments.out or f"{_stem(arguments.source)}-samples.png")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)
    print(f"\n{out}")


def verify(arguments, argv):
    """Reads every sample, lists each fault; the exit status is 1 if there is one."""
    names = arguments.splits or recognize(arguments.source).splits
    verification = Verification(
        arguments.source, arguments.tasks, arguments.workers, **_options(arguments)
    )
    for split in names:
        verification.read(split, _progress(split, arguments))
    for fault in verification.faults:
        print(fault)
    for split in names:
        labels = ", ".join(f"{key} {n}" for key, n in verification.labels[split].items())
        print(f"{_title(split)}: {verification.samples[split]} samples; {labels or 'no targets'}")
    count = len(verification.faults)
    print(f"{count} fault{'s'[: count != 1]}." if count else "No faults.")
    return 1 if count else 0


def prepare(arguments, argv):
    """Writes data in the fast form."""
    names = arguments.splits or recognize(arguments.source).splits
    sources = [
        open_source(arguments.source, split, arguments.tasks, **_options(arguments))
        for split in names
    ]
    verbose = _verbose(arguments)
    try:
        splits = write_prepared(
            sources, arguments.out, arguments.image_size, arguments.workers, verbose
        )
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on where it was.")
        return 130
    for source in splits:
        size = " x ".join(map(str, source.image_size))
        print(f"{source.split}: {len(source)} samples of {size} pixels")
    files = pathlib.Path(arguments.out).glob("*/*")
    print(f"{arguments.out}: {sum(file.stat().st_size for file in files) / 2**20:,.0f} MiB")
    return 0


def _named(facts, tasks):
    # The facts with the names of classes by which the picture calls them.
    names = {key: getattr(task, "class_names", None) for key, task in tasks.items()}
    return {key: {**of_task, "class_names": names.get(key)} for key, of_task in facts.items()}


def _describe(source, facts, num_samples, num_rows):
    # Prints the numbers of a split; returns titles and samples for the picture.
    indices = _spaced(len(source), num_samples)
    shown = set(indices[_spaced(len(indices), num_rows)])
    statistics, rows, errors = Statistics(facts), [], []

    def read_sample(index):
        try:
            return source[index], None
        except _UNREADABLE as error:
            return None, error

    for index, (sample, error) in zip(indices, in_order(read_sample, indices, 2), strict=True):
        if error:
            errors.append(error)
            continue
        statistics.add(sample)
        if index in shown:
            rows.append((f"{_title(source.split)} {index}", sample))
    read = len(indices) - len(errors)
    some = f"; the numbers are from {read} of them" if read < len(source) else ""
    size = f" of {statistics.size()}" if read else ""
    print(f"\n{_title(source.split)}: {len(source)} samples{size}{some}")
    for line in statistics.lines() if read else ():
        print(f"  {line}")
    if errors:
        print(f"  {len(errors)} cannot be read, for instance: {errors[0]}")
    return rows


def _spaced(length, count):
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int))


def _options(arguments):
    # What a source is to be asked for beside its split and tasks.
    source = recognize(arguments.source).source
    known = inspection.signature(source).parameters
    options = {name: getattr(arguments, name, None) for name in ("num_classes", "depth")}
    options = {name: value for name, value in options.items() if value is not None}
    for name in options:
        if name not in known:
            raise ValueError(
                f"`--{name.replace('_', '-')}` is for nyu_depth_v2_labeled.mat. "
                f"Received: '{arguments.source}', for which it means nothing. Leave it out."
            )
    size = getattr(arguments, "image_size", None)
    # Other sources are resized.
    return {**options, "image_size": tuple(size)} if size and "image_size" in known else options


def _title(split):
    return "all" if split is None else split


def _stem(source):
    path = pathlib.Path(source)
    # A path such as "." has no name of its own.
    return path.resolve().stem if path.exists() else source.split(":")[-1].replace("/", "-")


def _verbose(arguments):
    return sys.stdout.isatty() if arguments.verbose is None else arguments.verbose


def _progress(split, arguments):
    if not _verbose(arguments):
        return None
    bars = []

    def update(done, total):
        if not bars:
            bars.append(keras.utils.Progbar(total, unit_name=f"{_title(split)} sample"))
        bars[0].update(done)

    return update
