"""Tasks: everything that differs between semantic classes, depth and normals, in one class each."""

from collections.abc import Iterable

from keras_atinet.tasks.depth_estimation import DepthEstimation
from keras_atinet.tasks.names import check_log_names
from keras_atinet.tasks.semantic_segmentation import NYU13_CLASSES, SemanticSegmentation
from keras_atinet.tasks.surface_normals import SurfaceNormals
from keras_atinet.tasks.task import MISSING_COLOR, Task

TASKS = {"segmentation": SemanticSegmentation, "depth": DepthEstimation, "normal": SurfaceNormals}


def standardize_tasks(tasks):
    """The tasks that the networks' argument `tasks` describes.

    Args:
        tasks: one name, a `Task`, a sequence of names and `Task` objects, or a dict
            name -> channels. Names: `"segmentation"` (13 classes), `"depth"`, `"normal"`.

    Returns:
        List of `Task`.

    Raises:
        ValueError: if there is no task, a name is unknown or given twice, the channels of a task
            do not fit it, or two results would have one name in the logs.
    """
    if isinstance(tasks, dict):
        tasks = [_from_channels(name, channels) for name, channels in tasks.items()]
    elif isinstance(tasks, (str, Task)):
        tasks = [tasks]
    elif not isinstance(tasks, Iterable):
        tasks = []
    tasks = [task if isinstance(task, Task) else _from_name(task) for task in tasks]
    names = [task.name for task in tasks]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`tasks` must hold at least one task, each name once. Received: {names}. "
            "Give a second task of a kind its own `name`."
        )
    check_log_names({task.name: task.metrics() for task in tasks})
    return tasks


def _from_name(name):
    if not isinstance(name, str) or name not in TASKS:
        raise ValueError(
            f"Unknown task in `tasks`. Received: {name!r}. Expected one of {sorted(TASKS)} "
            "or a `keras_atinet.Task` object."
        )
    return TASKS[name]()


def _from_channels(name, channels):
    if name == "segmentation":
        return SemanticSegmentation(num_classes=channels)
    task = _from_name(name)
    if task.channels != channels:
        raise ValueError(
            f"Task '{name}' has {task.channels} channels. "
            f"Received: tasks={{'{name}': {channels!r}}}."
        )
    return task
