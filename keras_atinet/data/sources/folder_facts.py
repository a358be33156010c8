"""The facts of the tasks in a folder: stated in `dataset.json`, or guessed from names."""

from keras_atinet.data.kinds import kind_of

STANDARD_TASKS = ("segmentation", "depth", "normal")
_AXES = "x right, y down, z forward"


def subfolders(path):
    """Sorted names of the folders in a folder."""
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir())


def guess_tasks(root):
    """Task key -> facts, from the names of the folders in a split."""
    folders = subfolders(root)
    stated = {key: {} for key in STANDARD_TASKS if key in folders}
    labels = [name for name in folders if name.startswith("label")]
    if len(labels) > 1 and "segmentation" not in stated:
        raise ValueError(
            f"Several folders of '{root}' may be the segmentation. Received: {labels}. "
            'Say which in dataset.json: {"tasks": {"segmentation": {"folder": ...}}}.'
        )
    if labels and "segmentation" not in stated:
        stated["segmentation"] = {"folder": labels[0]}
        digits = labels[0].removeprefix("label").strip("s_-")
        if digits.isdecimal() and int(digits) > 1:
            stated["segmentation"]["num_classes"] = int(digits)
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
