"""The facts of the tasks in a folder: stated in `dataset.json`, or guessed from names."""

import re
import unicodedata

from keras_atinet.data.kinds import KINDS, kind_of
from keras_atinet.data.sources.file_names import subfolders

_AXES = "x right, y down, z forward"
# `label13` has 13 classes; `label2023` is of a year.
_LABELS_WITH_COUNT = re.compile(r"label[s_-]*([0-9]{1,3}|1000)[s_-]*")


def default_tasks(stated):
    """The keys to read if none are chosen, so that no task is learned in two versions.

    Of classes, depth and normals one each: the task named like the kind, or else the first of that
    kind. Quantities are all different, so all are read.

    Args:
        stated: dict, task key -> facts.
    """
    keys = {kind: [] for kind in KINDS}
    for key, facts in stated.items():
        try:
            keys[kind_of(key, facts)].append(key)
        except ValueError:
            continue  # of no kind that is known
    return [
        key
        for kind, of_kind in keys.items()
        for key in (of_kind if kind == "quantity" else [kind] if kind in of_kind else of_kind[:1])
    ]


def notes(facts, chosen, stated):
    """What is to be told of the tasks of a folder: what is not read, and numbers that are guessed.

    Args:
        facts: dict, task key -> facts, of the tasks that are read.
        chosen: sequence of task keys that were asked for, or None.
        stated: dict, task key -> facts, of all tasks.
    """
    others = [key for key in stated if key not in facts] if chosen is None else []
    lines = [f"also described, not read: {', '.join(others)} (--tasks)"] if others else []
    for key, known in facts.items():
        if "classes_from" in known:
            lines.append(
                f"{key}: {known['num_classes']} classes, {known['classes_from']}; "
                "`num_classes` in dataset.json states another number"
            )
    return tuple(lines)


def subfolder(root, name):
    """The path of a folder, whichever Unicode normalization its name has on the disk."""
    for part in name.split("/"):
        same = [
            folder
            for folder in (subfolders(root) if root.is_dir() else ())
            if unicodedata.normalize("NFC", folder) == unicodedata.normalize("NFC", part)
        ]
        root = root / (part if part in same or not same else same[0])
    return root


def guess_tasks(root):
    """Task key -> facts, from the names of the folders in a split."""
    folders = subfolders(root)
    stated = {key: {} for key in KINDS if key in folders and key != "quantity"}
    labels = [name for name in folders if name.startswith("label")]
    if len(labels) > 1 and "segmentation" not in stated:
        raise ValueError(
            f"Several folders of '{root}' may be the segmentation. Received: {labels}. "
            'Say which in dataset.json: {"tasks": {"segmentation": {"folder": ...}}}.'
        )
    if labels and "segmentation" not in stated:
        stated["segmentation"] = {"folder": labels[0]}
        count = _LABELS_WITH_COUNT.fullmatch(labels[0])
        if count and int(count[1]) > 1:
            name = f"by the name of the folder {labels[0]!r}"
            stated["segmentation"] |= {"num_classes": int(count[1]), "classes_from": name}
    return stated


def checked_facts(path, key, stated):
    """The facts of one task, checked, with its `kind` and its `folder`."""
    if key not in stated:
        raise FileNotFoundError(
            f"The folder '{path}' does not have this task. "
            f"Expected: some of {sorted(stated)}. Received: {key!r} in `tasks`."
        )
    facts = {"folder": key, **stated[key]}
    kind = kind_of(key, stated[key])
    if kind == "quantity" and "channels" not in facts:
        raise ValueError(
            "A quantity needs its number of `channels`. "
            f"Received: {key!r} with {stated[key]} in '{path / 'dataset.json'}'."
        )
    if facts.get("encoding", "rgb") != "rgb" or facts.get("axes", _AXES) != _AXES:
        raise ValueError(
            f"Normals must have encoding 'rgb' and axes {_AXES!r}. Received: "
            f"{stated[key]} in '{path / 'dataset.json'}'. Convert the files."
        )
    return {**facts, "kind": kind}
