"""The file `dataset.json`, checked."""

import difflib
import os

from keras_atinet.data import rules
from keras_atinet.data.rules import check, wrong
from keras_atinet.files import read_json
from keras_atinet.tasks.names import check_name

_RULES = {"image_size": rules.is_size, "exif_orientation": rules.is_orientation_choice}
_TASK_RULES = {
    "kind": rules.is_kind,
    "folder": rules.is_subfolder,
    "num_classes": rules.is_class_count,
    "values": rules.are_values,
    "ignore_class": rules.is_label,
    "class_names": rules.are_names,
    "class_colors": rules.are_colors,
    "channels": rules.is_count,
    "scale": rules.is_scale,
}
_DEPTH_RULES = {"missing": rules.is_number}
_KNOWN = {*_TASK_RULES, *_DEPTH_RULES, "encoding", "axes"}


def read_dataset_json(path):
    """What `dataset.json` in a folder says.

    Args:
        path: `pathlib.Path` of the folder.

    Returns:
        dict; empty without the file.

    Raises:
        ValueError: if the file is not JSON, or something it says is not of the right kind.
    """
    file = path / "dataset.json"
    # A link that leads nowhere is no missing file: the data would be taken for something else.
    if not os.path.lexists(file):
        return {}
    try:
        description = read_json(file)
    except FileNotFoundError as error:
        raise ValueError(
            f"A file must be there. Received: '{file}', a link that leads nowhere. Remove it."
        ) from error
    _check_spelling(file, description, {*_RULES, "tasks"}, "")
    tasks = description.get("tasks", {})
    if not isinstance(tasks, dict) or not all(isinstance(facts, dict) for facts in tasks.values()):
        raise wrong(file, "`tasks`", "a dict, task key -> dict of facts", tasks)
    check(file, description, _RULES)
    for key, facts in tasks.items():
        check_name(key, "The key of a task", f" in '{file}'")
        _check_spelling(file, facts, _KNOWN, f" of {key!r}")
        check(file, facts, _TASK_RULES, f" of {key!r}")
        if facts.get("kind", key[:5]) == "depth":
            check(file, facts, _DEPTH_RULES, f" of {key!r}")
        if "values" in facts:
            _check_values(file, key, facts)
        for name in ("class_names", "class_colors"):
            if len(facts.get(name) or ()) not in (0, facts.get("num_classes")):
                expected = "one for each of its `num_classes`"
                raise wrong(file, f"`{name}` of {key!r}", expected, facts[name])
    return description


def _check_spelling(file, stated, known, whose):
    # Other programs may state facts of their own, but none that looks like one of these.
    for name in stated.keys() - known:
        meant = difflib.get_close_matches(name.lower(), known, 1, 0.8)
        if meant:
            raise ValueError(
                f"A fact must have its own name. Received: `{name}`{whose} in '{file}'. "
                f"Is `{meant[0]}` meant?"
            )


def _check_values(file, key, facts):
    # They say how many classes there are, if nothing else does.
    highest = max((c for c in facts["values"].values() if c is not None), default=0)
    num_classes = facts.setdefault("num_classes", highest + 1)
    if highest >= num_classes or num_classes < 2:
        expected = f"of classes below {num_classes}, the number of classes"
        if num_classes < 2:
            expected = "of at least two classes, 0 and 1, or have `num_classes` beside it"
        raise wrong(file, f"`values` of {key!r}", expected, facts["values"])
    if "ignore_class" in facts:
        expected = "left out beside `values`, where null stands for it"
        raise wrong(file, f"`ignore_class` of {key!r}", expected, facts["ignore_class"])
