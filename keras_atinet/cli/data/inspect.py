"""`keras-atinet data inspect`."""

import pathlib
import shlex

import numpy as np

from keras_atinet import runs, visualization
from keras_atinet.cli.data.sources import print_notes, source_options, split_name
from keras_atinet.data import open_source
from keras_atinet.data.batching.parallel import in_order
from keras_atinet.data.kinds import kind_of
from keras_atinet.data.opening import recognize
from keras_atinet.data.preparation.statistics import Statistics
from keras_atinet.files import replacing
from keras_atinet.tasks import TASKS

_NUM_ROWS = 6  # of the picture
_UNREADABLE = (ValueError, OSError)


def run(arguments, argv):
    """Prints what data holds, and writes a picture of some samples."""
    form = recognize(arguments.source)
    print(f"{arguments.source}: {form.title}")
    names = arguments.splits or form.splits
    options = source_options(arguments)
    rows, tasks = [], {}
    sources = [open_source(arguments.source, split, arguments.tasks, **options) for split in names]
    print_notes(sources)
    for source in sources:
        drawn = [key for key, facts in source.tasks.items() if kind_of(key, facts) in TASKS]
        own = {task.name: task for task in runs.get_tasks(source, drawn)}
        num_rows = max(2, _NUM_ROWS // len(names))
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
    with replacing(out) as new:
        figure.savefig(new)
    print(f"\n{out}")


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
            rows.append((f"{split_name(source.split)} {index}", sample))
    read = len(indices) - len(errors)
    some = f"; the numbers are from {read} of them" if read < len(source) else ""
    size = f" of {statistics.size()}" if read else ""
    print(f"\n{split_name(source.split)}: {len(source)} samples{size}{some}")
    for line in statistics.lines() if read else ():
        print(f"  {line}")
    if errors:
        print(f"  {len(errors)} cannot be read, for instance: {errors[0]}")
    return rows


def _spaced(length, count):
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int))


def _stem(source):
    path = pathlib.Path(source)
    # A path such as "." has no name of its own.
    return path.resolve().stem if path.exists() else source.split(":")[-1].replace("/", "-")
