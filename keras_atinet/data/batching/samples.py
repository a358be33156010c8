"""The samples that batches are made of: those of a source, of the chosen tasks and of one size."""

import os

import numpy as np

from keras_atinet.data.batching.cache import Cached
from keras_atinet.data.kinds import described
from keras_atinet.data.source import Source
from keras_atinet.data.transforms.resize import resize
from keras_atinet.tasks.semantic_segmentation import ignored_labels

_SHAPE_FACTS = ("num_classes", "channels")
_SHOWN_LABELS = 10


def get_samples(source, split, image_size, tasks, cache):
    """A `Source` of the samples to make batches of. The arguments are those of `pipeline`."""
    tasks = (tasks,) if isinstance(tasks, str) else tasks
    source = _open(source, split, tasks)
    facts = _task_facts(source, tasks)
    samples = _Samples(source, facts, _known_size(source, image_size), _labels(facts, tasks))
    return Cached(samples) if cache else samples


def get_original_samples(source, tasks):
    """As `get_samples`, each of its own size."""
    facts = _task_facts(source, tasks)
    return _Samples(source, facts, None, _labels(facts, tasks))


def _open(source, split, tasks):
    # The source itself, or what lies at a path.
    if isinstance(source, str | os.PathLike):
        from keras_atinet.data.opening import open_source

        names = None if tasks is None else [getattr(task, "name", task) for task in tasks]
        return open_source(source, split, names)
    if split not in (None, source.split):
        raise ValueError(
            "`split` chooses a part of data that is opened by its path. "
            f"Received: split={split!r} and a source of split {source.split!r}. Leave it out."
        )
    return source


def _task_facts(source, tasks):
    # Task key -> facts with a kind, for the tasks asked for, a sequence of keys or of objects.
    facts = {}
    for task in source.tasks if tasks is None else tasks:
        name = getattr(task, "name", task)
        asked = {key: getattr(task, key) for key in _SHAPE_FACTS if hasattr(task, key)}
        facts[name] = source.tasks.get(name, asked)
        if hasattr(task, "check_facts"):
            task.check_facts(facts[name])
    return described(facts)


def _labels(facts, tasks):
    # Task key -> number of classes, labels to ignore; where the number is known.
    objects = {getattr(task, "name", task): task for task in tasks or ()}
    labels = {}
    for key, known in facts.items():
        count = known.get("num_classes", getattr(objects.get(key), "num_classes", None))
        if count is not None:
            stated = known.get("ignore_class")
            ignore_class = getattr(objects.get(key), "ignore_class", None)
            ignored = ignored_labels(count, stated if ignore_class is None else ignore_class)
            labels[key] = count, ignored
    return labels


def _known_size(source, image_size):
    image_size = image_size or source.image_size
    if image_size is None:
        raise ValueError(
            "The pictures of this source differ in size. Received: image_size=None. "
            "Choose one, for instance image_size=(288, 384)."
        )
    return tuple(image_size)


class _Samples(Source):
    def __init__(self, source, tasks, image_size, labels):
        self.source, self.split = source, source.split
        self.tasks, self.image_size = tasks, image_size
        self._labels = labels

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        index = int(index)
        sample = self.source[index]
        kept = {key: sample[key] for key in ("image", *self.tasks) if key in sample}
        for key in self._labels.keys() & kept.keys():
            self._check_labels(key, kept[key], index)
        return kept if self.image_size is None else resize(kept, self.image_size, self.tasks)

    def where(self, index):
        return self.source.where(index)

    def _check_labels(self, key, labels, index):
        count, ignored = self._labels[key]
        if labels.min(initial=0) >= -1 and labels.max(initial=0) < count:
            return
        values = np.unique(labels)
        stray = values[((values < 0) | (values >= count)) & ~np.isin(values, ignored)]
        if stray.size:
            raise ValueError(
                f"A label of {key!r} must be one of {count} classes, 0 to {count - 1}, or one to "
                f"ignore, {ignored}. Received: {', '.join(map(str, stray[:_SHOWN_LABELS]))} in "
                f"{self.source.where(index)}. Correct the source's `num_classes`, give the task "
                "an `ignore_class`, or make such labels -1."
            )
