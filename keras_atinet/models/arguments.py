"""Checks of the arguments that all the networks share."""

import numpy as np

from keras_atinet.tasks import standardize_tasks


def standardize_arguments(tasks, input_shape, filters, model, encoder=None):
    """Checks them and gives them their final form.

    Args:
        tasks: see `standardize_tasks`.
        input_shape: `(height, width, channels)`; without an encoder, height and width divisible
            by 32.
        filters: five positive ints.
        model: str, the name to use in errors.
        encoder: what the network was given as its encoder. Defaults to `None`, SegNet.

    Returns:
        List of `Task`, and the two shapes as tuples.

    Raises:
        ValueError: if one of them is none of these.
    """
    input_shape, filters = (tuple(np.ravel(value).tolist()) for value in (input_shape, filters))
    if len(input_shape) != 3 or not all(isinstance(n, int) and n > 0 for n in input_shape):
        raise ValueError(
            f"`{model}` needs `input_shape=(height, width, channels)`. "
            f"Received: input_shape={input_shape}. Use e.g. (288, 384, 3)."
        )
    if encoder is None:
        check_divisible(input_shape, model)
    if len(filters) != 5 or not all(isinstance(n, int) and n > 0 for n in filters):
        raise ValueError(
            f"`filters` of `{model}` must be five positive integers, one for each level. "
            f"Received: filters={filters}. Use e.g. (64, 128, 256, 512, 512)."
        )
    return standardize_tasks(tasks), input_shape, filters


def check_remat(remat, model):
    """Raises a ValueError if `remat` is neither None nor `"attention"`."""
    if remat not in (None, "attention"):
        raise ValueError(
            f"`remat` of `{model}` must be None or 'attention'. Received: remat={remat!r}."
        )


def check_divisible(input_shape, model):
    """Raises a ValueError if height or width, where known, is not divisible by 32."""
    *size, channels = input_shape
    if any(n is not None and n % 32 for n in size):
        padded = (*(n and n + -n % 32 for n in size), channels)
        raise ValueError(
            f"`{model}` needs an image height and width divisible by 32. "
            f"Received: input_shape={input_shape}. Pad or resize to {padded}."
        )
