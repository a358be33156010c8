"""Targets for absent tasks."""

import numpy as np

from keras_atinet.data.kinds import missing_value


def fill_missing(sample, tasks):
    """Gives absent tasks a target in which every pixel is ignored.

    Args:
        sample: dict of arrays.
        tasks: dict, task key -> facts, as in `Source.tasks`.

    Returns:
        dict with `image` and exactly the given tasks.

    Example:

    >>> sample = {"image": np.zeros((4, 6, 3), "float32")}
    >>> fill_missing(sample, {"depth": {}})["depth"].shape
    (4, 6, 1)
    """
    filled = {"image": sample["image"]}
    for task, facts in tasks.items():
        filled[task] = sample.get(task)
        if filled[task] is None:
            value = missing_value(task, facts)
            filled[task] = np.full(sample["image"].shape[:2] + value.shape, value, value.dtype)
    return filled
