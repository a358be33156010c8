"""`keras-atinet evaluate`."""

import shlex
import sys

from keras_atinet import evaluation, runs
from keras_atinet.cli.sources import absolute
from keras_atinet.data import splits
from keras_atinet.evaluation.results import to_json
from keras_atinet.evaluation.scoring import with_averaging
from keras_atinet.files import write_json


def run(arguments, argv):
    """Prints losses and metrics of a model on one split, and the scores of each class."""
    file, folder = runs.find_model(arguments.model)
    if arguments.data is None and folder is None:
        raise ValueError(
            f"'{file}' lies in no run folder, whose config.json would tell the data. "
            "Say it: --data rooms, or --data DIR."
        )
    model = runs.load_model(file)
    settings = _settings(arguments, folder)
    settings["tasks"] = [task.name for task in model.tasks]
    train, source, title = _open(arguments, settings)
    _check_facts(model, source, settings["data"])
    size, batch_size = model.input_shape[1:3], arguments.batch_size or settings["batch_size"]
    if arguments.original_size:
        batches = evaluation.OriginalSize(source, model.tasks, size)
    else:
        batches = runs.get_batches(source, model.tasks, size, batch_size)
    print(f"{file}\non {settings['data']}, {title}: {len(source)} images")
    print(_at(source, size, arguments))
    verbose = int(sys.stdout.isatty()) if arguments.verbose is None else arguments.verbose
    classes = evaluation.ClassScores(model.tasks)
    results = evaluation.evaluate(model, batches, arguments.averaging, verbose, classes)
    baseline = None
    if arguments.baseline:
        tasks = [with_averaging(task, arguments.averaging) for task in model.tasks]
        baseline = runs.constant_baseline(train, tasks, size, batch_size, batches)
    print("\n".join(filter(None, [evaluation.table(results, baseline), classes.table()])))
    if arguments.json:
        facts = {
            "model": str(file),
            "data": settings["data"],
            "split": source.split,
            "images": len(source),
            "image_size": None if arguments.original_size else list(size),
            "results": to_json(results),
            "class_iou": to_json(classes.iou()),
        }
        if baseline is not None:
            facts["constant"] = to_json(baseline)
        write_json(arguments.json, facts)
        print(f"\n{arguments.json}")


def _settings(arguments, folder):
    settings = folder.read_settings() if folder else {**runs.DEFAULT}
    data = settings["data"] if arguments.data is None else absolute(arguments.data)
    if data != settings["data"]:
        # All of them: the network has learnt from none.
        settings |= {"data": data, "splits": runs.choose_splits(splits(data)), "hold_out": None}
    return settings


def _open(arguments, settings):
    # What a constant is fitted to, what is scored, and where that is from.
    if settings["hold_out"] is None or arguments.split:
        names = settings["splits"]
        split = arguments.split or names[-1]
        train, source = (runs.get_source(settings, name) for name in (names[0], split))
        title = "all images" if split is None else f"split '{split}'"
    else:
        sources = runs.get_sources(settings)
        train, source, title = sources.train, sources.test, sources.title(sources.test)
    runs.get_tasks(source, settings["tasks"])  # raises if one is missing
    return train, source, title


def _check_facts(model, source, data):
    for task in model.tasks:
        facts = source.tasks[task.name]
        try:
            task.check_facts(facts)
        except ValueError as error:
            unit = "classes" if hasattr(task, "num_classes") else "channels"
            found = facts.get(f"num_{unit}", facts.get(unit))
            raise ValueError(
                f"A network is scored on data with the {unit} that it has learnt. Received: "
                f"'{data}' with {found} {unit} of '{task.name}', for a network of {task.channels}. "
                'Map the labels of the data to its classes ("values" in dataset.json), or train on '
                f"these data: keras-atinet train --data {shlex.quote(data)}"
            ) from error


def _at(source, size, arguments):
    height, width = size
    if arguments.original_size:
        return "at the size of the labels, to which predictions are resized"
    if source.image_size is not None and tuple(source.image_size) == tuple(size):
        return f"at {height} x {width}, the size of network and labels"
    return f"at {height} x {width}, the network's size (--original-size: at the labels')"
