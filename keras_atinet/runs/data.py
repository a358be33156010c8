"""The data that settings describe."""

import math
import warnings

import keras
from keras import ops

from keras_atinet import data, evaluation
from keras_atinet.data import Batches, Rooms, Subset, hold_out, open_source, pipeline
from keras_atinet.data.kinds import CLASS_FACTS, kind_of
from keras_atinet.settings import ROOMS
from keras_atinet.tasks import TASKS, SemanticSegmentation

_TEST_SHARE = 0.25  # held-out rooms for each training room
_CACHE_BYTES = 2**31
_PIXEL_BYTES = 14  # of a cached sample: image, classes, depth, normals
_BASELINE_SAMPLES = 200
_LABEL_SAMPLES = 200
_OWN_TASK = (
    "Quantities of another kind are learned in Python, by a network with a `keras_atinet.Task` of "
    "your own."
)


def get_source(settings, split):
    """The data of one split."""
    if settings["data"] == ROOMS:
        num_samples = settings["num_samples"]
        if split != settings["splits"][0]:
            num_samples = math.ceil(_TEST_SHARE * num_samples)
        return Rooms(num_samples, settings["image_size"], split)
    return open_source(settings["data"], split, settings["tasks"])


def get_sources(settings):
    """The data to learn from, and the data to hold out.

    These are the two splits of the settings, or two parts of the first if they hold some out.
    """
    first, second = settings["splits"]
    if settings["hold_out"]:
        return hold_out(get_source(settings, first), settings["hold_out"])
    return get_source(settings, first), get_source(settings, second)


def get_tasks(source, names=None, single=False, averaging="pixel", class_weights=None):
    """`Task` objects for what a source offers.

    Args:
        source: a `Source`.
        names: task keys, or None for all that have a `Task`.
        single: bool, take only the first where `names` is None.
        averaging: `"pixel"` or `"batch"`, see `Task`.
        class_weights: `"balanced"` (by `data.class_weights` of the source) or None.

    Raises:
        ValueError: if the source lacks a task, there is no `Task` for it, or no task has classes
            to weigh.
    """
    if names is None:
        names = [key for key in source.tasks if _task_class(source, key)][: 1 if single else None]
        if not names:
            raise ValueError(
                "The data must have classes, depth or normals to learn. "
                f"Received: the tasks {source.tasks}. {_OWN_TASK}"
            )
    tasks = []
    for name in names:
        if name not in source.tasks:
            raise ValueError(
                f"The data offers the tasks {sorted(source.tasks)}. Received: {name!r}. "
                "Choose some of them."
            )
        task, facts = _task_class(source, name), source.tasks[name]
        if task is None:
            raise ValueError(
                "A task must be of classes, depth or normals to be learned by name. "
                f"Received: {name!r}, a {kind_of(name, facts)}. {_OWN_TASK}"
            )
        known = {key: facts[key] for key in CLASS_FACTS if key in facts}
        if class_weights and task is SemanticSegmentation:
            known["class_weights"] = data.class_weights(source, name)
        tasks.append(task(name=name, averaging=averaging, **known))
    if class_weights and not any(isinstance(task, SemanticSegmentation) for task in tasks):
        raise ValueError(
            "Only tasks with classes have class weights. "
            f"Received: class_weights={class_weights!r} for the tasks {names}. Leave it out."
        )
    return tasks


def get_notes(source, names=None):
    """What a user is to be told of data before training: `Source.notes`, and what is left out.

    Args:
        source: a `Source`.
        names: task keys, or None, as for `get_tasks`.
    """
    left_out = [key for key in source.tasks if not _task_class(source, key)]
    notes = list(source.notes)
    if left_out and names is None:
        notes.append(f"not learned: {', '.join(left_out)} (quantities need a `Task` in Python)")
    return notes


def _task_class(source, name):
    return TASKS.get(kind_of(name, source.tasks[name]))


def check_labels(sources, tasks):
    """Looks for a valid pixel of each task in the data to learn from, and in the data held out.

    At most 200 samples of each are read, evenly spaced, and no more than it takes to find one.

    Args:
        sources: two `Source`s, to learn from and to hold out.
        tasks: list of `Task`.

    Raises:
        ValueError: if there is none of a task in all of the data to learn from, or none of any
            task among the samples read.

    Warns:
        UserWarning: if there is none of a task among the samples read otherwise.
    """
    for source, title in zip(sources, ("training", "held-out"), strict=True):
        subset = Subset(source, _LABEL_SAMPLES)
        missing = _without_labels(subset, tasks)
        if not missing:
            continue
        names, count = ", ".join(missing), len(subset)
        text = f"No pixel of {names} is valid in any of {count} {title} samples looked at."
        if len(missing) == len(tasks) or (title == "training" and count == len(source)):
            raise ValueError(
                f"{text} Received: the split '{source.split}' of {len(source)} samples. "
                "Leave out such tasks, or give data with their labels."
            )
        if title == "held-out":
            text += " Such tasks count neither in `val_loss` nor in the choice of the best epoch."
        warnings.warn(text, stacklevel=2)


def _without_labels(source, tasks):
    missing = {task.name: task for task in tasks}
    for sample in source:
        for name in [name for name in missing if name in sample]:
            _, mask = missing[name].prepare(ops.convert_to_tensor(sample[name][None]))
            if ops.any(mask):
                del missing[name]
        if not missing:
            break
    return list(missing)


def get_batches(source, tasks, image_size, batch_size, **kwargs):
    """`data.pipeline`, or `data.Batches` where TensorFlow is not the backend and may be absent.

    What is small is kept in memory.
    """
    make = pipeline if keras.backend.backend() == "tensorflow" else Batches
    cache = len(source) * math.prod(image_size) * _PIXEL_BYTES <= _CACHE_BYTES
    return make(source, None, image_size, batch_size, tasks=tasks, cache=cache, **kwargs)


def constant_baseline(source, tasks, image_size, batch_size, batches):
    """What `evaluation.evaluate` would return for the constants that fit a source best.

    Args:
        source, tasks, image_size, batch_size: as for `get_batches`, what to fit the constants to.
        batches: dataset to judge them by.
    """
    subset = Subset(source, _BASELINE_SAMPLES)
    fitted = get_batches(subset, tasks, image_size, batch_size)
    constants = evaluation.best_constants(tasks, fitted)
    return evaluation.evaluate_constants(tasks, constants, batches)
