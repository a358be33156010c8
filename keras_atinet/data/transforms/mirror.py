"""Mirrors a sample."""

from keras_atinet.data.kinds import array_kind
from keras_atinet.data.transforms.namespace import namespace, per_channel


def mirror(sample, tasks=None):
    """Mirrors a sample left to right; normals change the sign of their x.

    Args:
        sample: dict of arrays or of tensors.
        tasks: optional dict, task key -> facts, as in `Source.tasks`. A task that it does not
            have is of the kind that its key begins with.

    Returns:
        dict of arrays; NumPy arrays are views where they can be.
    """
    flipped = {}
    for key, value in sample.items():
        flipped[key] = namespace(value).flip(value, 1)
        if array_kind(key, tasks) == "normal":
            sign = per_channel([-1, 1, 1], value.shape[1])
            flipped[key] = namespace(value).multiply(flipped[key], sign)
    return flipped
