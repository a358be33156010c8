"""The file `dataset.json`, checked."""

import json
import re

from keras_atinet.tasks.names import check_name


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
    if not file.is_file():
        return {}
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"The file is not valid JSON. Received: '{file}' ({error}).") from error
    if not isinstance(description, dict):
        raise _wrong(file, "dataset.json", "a dict", description)
    tasks = description.get("tasks", {})
    if not isinstance(tasks, dict) or not all(isinstance(facts, dict) for facts in tasks.values()):
        raise _wrong(file, "`tasks`", "a dict, task key -> dict of facts", tasks)
    _check(file, description, _DATA_RULES, "")
    for key, facts in tasks.items():
        check_name(key, "The key of a task", f" in '{file}'")
        _check(file, facts, _RULES, f" of {key!r}")
        if "values" in facts:
            _check_values(file, key, facts)
        for name in ("class_names", "class_colors"):
            if len(facts.get(name) or ()) not in (0, facts.get("num_classes")):
                expected = "one for each of its `num_classes`"
                raise _wrong(file, f"`{name}` of {key!r}", expected, facts[name])
    return description


def _check_values(file, key, facts):
    # They say how many classes there are, if nothing else does.
    highest = max((c for c in facts["values"].values() if c is not None), default=0)
    num_classes = facts.setdefault("num_classes", highest + 1)
    if highest >= num_classes or num_classes < 2:
        expected = f"of classes below {num_classes}, the number of classes"
        if num_classes < 2:
            expected = "of at least two classes, 0 and 1, or have `num_classes` beside it"
        raise _wrong(file, f"`values` of {key!r}", expected, facts["values"])
    if "ignore_class" in facts:
        expected = "left out beside `values`, where null stands for it"
        raise _wrong(file, f"`ignore_class` of {key!r}", expected, facts["ignore_class"])


def _check(file, stated, rules, whose):
    for name, rule in rules.items():
        if name in stated and not rule(stated[name]):
            raise _wrong(file, f"`{name}`{whose}", rule.__doc__, stated[name])


def _wrong(file, what, expected, received):
    return ValueError(f"{what} must be {expected}. Received: {received!r} in '{file}'. Correct it.")


def _is_whole(value):
    """a whole number"""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value):
    """a whole number above 0"""
    return _is_whole(value) and value > 0


def _is_class_count(value):
    """a whole number above 1 (a binary mask has two classes, the background 0 and the object 1)"""
    return _is_whole(value) and value > 1


def _are_values(value):
    """a dict, stored label (a str) -> class number, or null to ignore it"""
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(re.fullmatch(r"0|-?[1-9]\d*", label) for label in value)
        and all(c is None or (_is_whole(c) and c >= 0) for c in value.values())
    )


def _is_number(value):
    """a number"""
    return _is_whole(value) or isinstance(value, float)


def _is_positive(value):
    """a number above 0"""
    return _is_number(value) and value > 0


def _is_name(value):
    """a str"""
    return isinstance(value, str)


def _is_size(value):
    """[height, width]"""
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))


def _are_names(value):
    """a list of str"""
    return isinstance(value, list) and all(map(_is_name, value))


def _are_colors(value):
    """a list of [red, green, blue], whole numbers from 0 to 255"""
    return isinstance(value, list) and all(map(_is_color, value))


def _is_color(value):
    is_triple = isinstance(value, list) and len(value) == 3 and all(map(_is_whole, value))
    return is_triple and min(value) >= 0 and max(value) <= 255


def _is_orientation_choice(value):
    """ "apply" (images are turned as EXIF says) or "ignore" (read as stored)"""
    return value in ("apply", "ignore")


_DATA_RULES = {"image_size": _is_size, "exif_orientation": _is_orientation_choice}
_RULES = {
    "folder": _is_name,
    "num_classes": _is_class_count,
    "values": _are_values,
    "ignore_class": _is_whole,
    "class_names": _are_names,
    "class_colors": _are_colors,
    "channels": _is_count,
    "scale": _is_positive,
}
