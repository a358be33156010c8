"""Detects the axes in which normals are stored, by comparing them with depth."""

import itertools

import numpy as np

from keras_atinet.data.transforms.normals_from_depth import normals_from_depth

_AXES = ("x", "y", "z")
_LEAST_COSINE = 0.7  # of the best axes, on average
_LEAST_MARGIN = 0.05  # before the second best


def matching_axes(pairs):
    """The axes in which stored normals agree with depth.

    For each of the 48 signed permutations `P` the mean of `n . (P m)` over all pixels, with `m`
    the stored normal and `n` that computed from depth, says how well it fits. The best one is
    taken if its mean is at least 0.7 and the next is 0.05 below; otherwise nothing is known, and
    the axes are those of this package.

    Args:
        pairs: iterable of depth `(H, W, 1)` in metres and normals `(H, W, 3)`; a camera with a
            field of view of 57 degrees is assumed.

    Returns:
        tuple of three str, the stored component that each of x (right), y (down) and z (forward)
        is, as `("x", "-z", "-y")`.
    """
    products, count = np.zeros((3, 3)), 0
    for depth, stored in pairs:
        height, width = depth.shape[:2]
        focal_length = 0.927 * width
        middle = (width - 1) / 2, (height - 1) / 2
        computed = normals_from_depth(depth, (focal_length, focal_length, *middle), radius=3)
        both = computed.any(axis=-1) & stored.any(axis=-1)
        products += computed[both].T @ stored[both]
        count += both.sum()
    choices = [
        tuple(sign + axis for sign, axis in zip(signs, order, strict=True))
        for order in itertools.permutations(_AXES)
        for signs in itertools.product(("", "-"), repeat=3)
    ]
    cosines = [(as_matrix(axes) * products).sum() / max(count, 1) for axes in choices]
    second, best = np.sort(cosines)[-2:]
    sure = best >= _LEAST_COSINE and best - second >= _LEAST_MARGIN
    return choices[int(np.argmax(cosines))] if sure else _AXES


def as_matrix(axes):
    """The `(3, 3)` float32 matrix that turns stored vectors into those of the package.

    Args:
        axes: three of `"x"`, `"-x"`, `"y"`, `"-y"`, `"z"` and `"-z"`, each letter once.

    Raises:
        ValueError: if they are not.
    """
    letters = [str(axis).removeprefix("-") for axis in axes]
    if sorted(letters) != list(_AXES):
        raise ValueError(
            "`normal_axes` must name each of x, y and z once, with or without a minus. "
            f"Received: normal_axes={axes!r}. For instance ('x', '-z', '-y')."
        )
    matrix = np.zeros((3, 3), np.float32)
    for row, (axis, letter) in enumerate(zip(axes, letters, strict=True)):
        matrix[row, _AXES.index(letter)] = -1 if axis.startswith("-") else 1
    return matrix
