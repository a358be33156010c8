"""Kinds of targets, which say how a target is stored, transformed and checked.

A kind is about stored data, a `Task` about what a network predicts. The targets of every kind but
`"quantity"` are those of the `Task` of that name in `keras_atinet.tasks.TASKS`, which knows their
dtype, shape and the value of ignored pixels; several tasks may be of one kind. A quantity is the
target of a task of the user's own.
"""

import numpy as np

from keras_atinet.tasks import TASKS
from keras_atinet.tasks.names import check_name

KINDS = ("segmentation", "depth", "normal", "quantity")
CLASS_FACTS = ("num_classes", "ignore_class", "class_names", "class_colors")


def _missing_pixel(task):
    return np.full(task.target_shape(1, 1)[2:], task.missing_value, task.target_dtype)


_MISSING = {kind: _missing_pixel(TASKS[kind]()) for kind in KINDS[:-1]}


def kind_of(key, facts=None):
    """The kind of a target: what its facts state, or else what the facts and the key suggest.

    Args:
        key: str, the task key.
        facts: optional dict, what a source says about the task, as in `Source.tasks`.

    Returns:
        `"segmentation"`, `"depth"`, `"normal"`, or `"quantity"` for floats of another kind.

    Raises:
        ValueError: if the stated kind is none of these, or neither the facts nor the key say it.

    Example:

    >>> kind_of("segmentation40"), kind_of("parts", {"num_classes": 7})
    ('segmentation', 'segmentation')
    """
    facts = facts or {}
    if facts.get("kind") in KINDS:
        return facts["kind"]
    if "kind" not in facts:
        if "num_classes" in facts:
            return "segmentation"
        for kind in _MISSING:
            if key.startswith(kind):
                return kind
        if "channels" in facts:
            return "quantity"
    raise ValueError(
        f"A task is one of the kinds {KINDS}. Received: {key!r} with {facts}. "
        "State its `kind` in the source's `tasks` (or in dataset.json)."
    )


def array_kind(key, tasks=None):
    """`"image"` for the image of a sample, `kind_of` for its targets.

    Args:
        key: str, a key of a sample.
        tasks: optional dict, task key -> facts, as in `Source.tasks`.
    """
    return "image" if key == "image" else kind_of(key, (tasks or {}).get(key))


def described(tasks):
    """A copy of `Source.tasks` in which every task states its kind.

    Raises:
        ValueError: if a key is not the name of a task, or a kind is neither stated nor clear.
    """
    for key in tasks:
        check_name(key, "The key of a task in the data", f" in {list(tasks)}")
    return {key: {"kind": kind_of(key, facts), **facts} for key, facts in tasks.items()}


def missing_value(key, facts):
    """The value of an ignored pixel.

    Args:
        key: str, the task key.
        facts: dict, what the source says about the task, as in `Source.tasks`.

    Returns:
        NumPy array: its dtype is the target's, its shape the target's after `(H, W)`.

    Raises:
        ValueError: if neither the facts nor the key say the kind, or a quantity has no `channels`.
    """
    kind = kind_of(key, facts)
    if kind != "quantity":
        return _MISSING[kind]
    if "channels" not in facts:
        raise ValueError(
            f"A quantity states its number of `channels`. Received: {key!r} with {facts}."
        )
    return np.zeros(facts["channels"], np.float32)
