"""The samples that batches are made of: those of a source, of the chosen tasks and of one size."""

import os

from keras_atinet.data.batching.cache import Cached
from keras_atinet.data.kinds import described
from keras_atinet.data.source import Source
from keras_atinet.data.transforms.resize import resize

_SHAPE_FACTS = ("num_classes", "channels")


def get_samples(source, split, image_size, tasks, cache):
    """A `Source` of the samples to make batches of. The arguments are those of `pipeline`."""
    tasks = (tasks,) if isinstance(tasks, str) else tasks
    source = _open(source, split, tasks)
    samples = _Resized(source, _task_facts(source, tasks), _known_size(source, image_size))
    return Cached(samples) if cache else samples


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
        num_classes = facts[name].get("num_classes", 0)
        if num_classes > asked.get("num_classes", num_classes):
            raise ValueError(
                f"Task {name!r} needs as many classes as the data has. Received: "
                f"{asked['num_classes']} in `tasks`, {num_classes} in the source. "
                f"Give the task num_classes={num_classes}."
            )
    return described(facts)


def _known_size(source, image_size):
    image_size = image_size or source.image_size
    if image_size is None:
        raise ValueError(
            "The pictures of this source differ in size. Received: image_size=None. "
            "Choose one, for instance image_size=(288, 384)."
        )
    return tuple(image_size)


class _Resized(Source):
    def __init__(self, source, tasks, image_size):
        self.source, self.split = source, source.split
        self.tasks, self.image_size = tasks, image_size

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        sample = self.source[int(index)]
        kept = {key: sample[key] for key in ("image", *self.tasks) if key in sample}
        return resize(kept, self.image_size, self.tasks)
