"""The tasks of NYUv2 and its classes."""

import numpy as np

from keras_atinet.data.nyuv2.labelled_set import labelled_set
from keras_atinet.tasks import NYU13_CLASSES

# As in `Source.tasks`, with 13 classes.
NYU13_TASKS = {
    "segmentation": {
        "kind": "segmentation",
        "num_classes": len(NYU13_CLASSES),
        "class_names": list(NYU13_CLASSES),
        "class_colors": [list(color) for color in NYU13_CLASSES.values()],
    },
    "depth": {"kind": "depth"},
    "normal": {"kind": "normal"},
}


def nyuv2_tasks(num_classes):
    """The tasks of NYUv2 with 13 or 40 classes, as in `Source.tasks`."""
    if num_classes == 13:
        return NYU13_TASKS
    names = labelled_set()["names_of_40"]
    classes = {"kind": "segmentation", "num_classes": num_classes, "class_names": names}
    return {**NYU13_TASKS, "segmentation": classes}


def class_table(num_classes):
    """The class, of 13 or 40, that each class of the original becomes.

    Returns:
        `(895,)` int32, -1 for ignored pixels, which are class 0 of the original.
    """
    table = np.array(labelled_set()["to_40"])
    if num_classes == 13:
        table = np.array(labelled_set()["from_40_to_13"])[table - 1]
    return np.concatenate([[-1], table - 1]).astype(np.int32)
