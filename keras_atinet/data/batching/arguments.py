"""What the arguments of a pipeline mean, and which make no sense."""

import os

from keras_atinet.data.kinds import described

_SHAPE_FACTS = ("num_classes", "channels")


def open_given(source, split, tasks):
    """The source itself, or what lies at a path."""
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


def check_arguments(source, batch_size, shard, on_error):
    """Refuses numbers that make no batches."""
    index, count = shard
    if len(source) < max(count, 1) or batch_size < 1:
        raise ValueError(
            "Batches need a source with samples (for every shard) and a positive `batch_size`. "
            f"Received: len(source)={len(source)}, shard={shard}, batch_size={batch_size}."
        )
    if not 0 <= index < count:
        raise ValueError(
            "`shard` is the index of this host, from 0, and the number of hosts. "
            f"Received: shard={shard}."
        )
    if on_error not in ("raise", "skip"):
        raise ValueError(f"`on_error` is 'raise' or 'skip'. Received: on_error={on_error!r}.")


def task_facts(source, tasks):
    """Task key -> facts with a kind, for the tasks asked for, a sequence of keys or of objects."""
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


def known_size(source, image_size):
    """The `(height, width)` of the batches."""
    image_size = image_size or source.image_size
    if image_size is None:
        raise ValueError(
            "The pictures of this source differ in size. Received: image_size=None. "
            "Choose one, for instance image_size=(288, 384)."
        )
    return tuple(image_size)
