"""Checks of what layers are made with."""

import numbers

from keras_atinet.tasks import Task


def check_task(task, layer):
    """Raises a ValueError if the task of a layer is none."""
    if not isinstance(task, Task):
        raise ValueError(
            f"`task` of `{type(layer).__name__}` must be a `keras_atinet.Task`. "
            f"Received: task={task!r}. Pass e.g. `keras_atinet.DepthEstimation()`."
        )


def check_share(value, name, layer):
    """Raises a ValueError if an argument of a layer is no number in [0, 1]."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:
        raise ValueError(
            f"`{name}` of `{type(layer).__name__}` must be a number in [0, 1]. "
            f"Received: {name}={value!r}."
        )


def check_fixed(layer, **settings):
    """Raises a ValueError if a layer is set otherwise than its subclass here can compute."""
    for name, value in settings.items():
        received = getattr(layer, name)
        if received != value:
            kind = type(layer).__name__
            raise ValueError(
                f"`{kind}` of keras_atinet works with {name}={value!r} only. "
                f"Received: {name}={received!r}. Use `keras.layers.{kind}`."
            )
