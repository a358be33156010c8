"""What networks share that compare all pixels of an image with each other."""

import math

import keras

from keras_atinet.layers import Affinity, BilinearResizing, Conv2D

LIMIT = 2  # GiB for each image


def standardize_affinity_size(size, input_shape, num_matrices, dtype, model):
    """Checks `affinity_size` of a network.

    Args:
        size: `(height, width)`, or None, an eighth of the image, rounded up.
        input_shape: `(height, width, channels)` of the image.
        num_matrices: int, how many matrices of `(height * width) ** 2` numbers a train step keeps
            for each image.
        dtype: dtype policy of the layers.
        model: str, the name to use in errors.

    Returns:
        Tuple of two ints.

    Raises:
        ValueError: if it is none of these, or the matrices need more than `LIMIT` GiB.
    """
    used = tuple(-(-n // 8) for n in input_shape[:2]) if size is None else size
    if not isinstance(used, (list, tuple)) or len(used) != 2 or not all(map(_is_size, used)):
        raise ValueError(
            f"`affinity_size` of `{model}` must be `(height, width)`, two positive ints. "
            f"Received: affinity_size={size!r}. Use e.g. (36, 48)."
        )
    bytes_each = 2 if "16" in _compute_dtype(dtype) else 4
    used = tuple(used)
    memory = num_matrices * bytes_each * math.prod(used) ** 2 / 2**30
    if memory > LIMIT:
        scale = (LIMIT / memory) ** (1 / 4)
        fitting = tuple(max(1, int(scale * n)) for n in used)
        default = " (an eighth of the image, by default)" if size is None else ""
        raise ValueError(
            f"`{model}` compares all pixels of `affinity_size` with each other: training keeps "
            f"{num_matrices} matrices of (height * width)^2 numbers for each image, {LIMIT} GiB "
            f"at most. Received: affinity_size={used}{default}, {memory:.1f} GiB for each image. "
            f"Use e.g. affinity_size={fitting}."
        )
    return used


def affinities(features, filters, size, normalize_rows=False, dtype=None):
    """For each task `f = resize(conv1x1(F))` and how similar its pixels are, see `Affinity`.

    Args:
        features: dict task name -> KerasTensor.
        filters: five ints, the widths of the network: `f` has `2 * filters[0]` channels.
        size: two ints, the height and width of `f`.
        normalize_rows: bool, see `Affinity`.
        dtype: dtype policy of the layers.

    Returns:
        Dict task name -> KerasTensor `f`, and the list of the matrices in the order of `features`.
    """
    reduced, matrices = {}, []
    for name, x in features.items():
        x = Conv2D(2 * filters[0], 1, dtype=dtype, name=f"{name}_reduction")(x)
        x = BilinearResizing(size, dtype=dtype, name=f"{name}_reduction_resizing")(x)
        reduced[name] = x
        matrices.append(Affinity(normalize_rows, dtype=dtype, name=f"{name}_affinity")(x))
    return reduced, matrices


def _is_size(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _compute_dtype(dtype):
    return keras.dtype_policies.get(dtype or keras.config.dtype_policy()).compute_dtype
