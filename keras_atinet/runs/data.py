"""The data that settings describe."""

import math
import warnings
from typing import NamedTuple

import keras
from keras import ops

from keras_atinet import data, evaluation
from keras_atinet.data import Batches, Rooms, Source, Subset, hold_out, open_source, pipeline
from keras_atinet.data.kinds import CLASS_FACTS, kind_of
from keras_atinet.data.opening import VALIDATION
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


class Sources(NamedTuple):
    """The data of a run.

    Attributes:
        train: `Source` to learn from.
        validation: `Source` to choose the best epoch on.
        test: `Source` for the final scores; `validation` itself where there is no other.
        is_held_out: bool, whether `validation` is a part of the training split.
    """

    train: Source
    validation: Source
    test: Source
    is_held_out: bool

    @property
    def is_chosen_on_test(self):
        """Whether the final scores are of the images that the best epoch was chosen on."""
        return self.validation is self.test

    def title(self, source):
        """Where the images of `validation` or `test` are from, str."""
        split = "all images" if source.split is None else f"split '{source.split}'"
        return f"held out of {split}" if self._is_part(source) else split

    def describe(self):
        """A line about the images and what each part is for."""
        validation = (
            f"{len(self.validation)} {self._mark(self.validation)} to choose the best epoch"
        )
        end = " and to score"
        if not self.is_chosen_on_test:
            end = f", {len(self.test)} {self._mark(self.test)} to score"
        return f"{len(self.train)} training images, {validation}{end}"

    def _mark(self, source):
        return "held out" if self._is_part(source) else f"({source.split!r})"

    def _is_part(self, source):
        return self.is_held_out and source is self.validation


def get_sources(settings):
    """The `Sources` of a run.

    The setting `splits` names the parts of the data in the order train, validation, test. With
    `hold_out`, a share of the first split, held out, is the validation part. Where one part is left
    beside that to learn from, it is both validation and test.

    Raises:
        ValueError: if no part is left to choose the best epoch on, or there are too many.
    """
    names, share = settings["splits"], settings["hold_out"]
    if not 2 <= len(names) + bool(share) <= 3:
        raise ValueError(
            "A run has a split to learn from, one to choose the best epoch on (or a share of the "
            "first that is held out) and one to test on. "
            f"Received: splits={names}, hold_out={share}. Give two or three splits without "
            "`hold_out`, or one or two and a share, 0.1 for instance."
        )
    train, *others = (get_source(settings, name) for name in names)
    if share:
        train, held_out = hold_out(train, share)
        others.insert(0, held_out)
    return Sources(train, others[0], others[-1], bool(share))


def choose_splits(names):
    """Which splits of a dataset a run takes: to learn from, to choose on, to test on.

    Args:
        names: list of str, see `data.splits`.

    Returns:
        list of str, without a part for which there is no split.

    Example:

    >>> choose_splits(["train", "val", "test"]), choose_splits(["train", "test", "test-b"])
    (['train', 'val', 'test'], ['train', 'test'])
    """
    first, *others = names
    validation = [name for name in others if name in VALIDATION]
    test = [name for name in others if name not in VALIDATION]
    return [first, *validation[:1], *test[:1]]


def has_validation(names):
    """Whether the splits of a run have one to choose the best epoch on."""
    return len(names) > 2 or any(name in VALIDATION for name in names[1:])


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
    """Looks for a valid pixel of each task in the data to learn from, and in those to choose on.

    At most 200 samples of each are read, evenly spaced, and no more than it takes to find one.

    Args:
        sources: two `Source`s, to learn from and to choose the best epoch on.
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
