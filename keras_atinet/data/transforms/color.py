"""Changes the colours of the image of a sample."""

import numpy as np

from keras_atinet.data.transforms.namespace import namespace

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def adjust_color(sample, brightness=1.0, contrast=1.0, saturation=1.0):
    """Changes the colours of the image; targets stay as they are.

    With grey values `g(x) = 0.299 R + 0.587 G + 0.114 B`, in this order: `x b`;
    `c x + (1 - c) mean(g(x))`; `s x + (1 - s) g(x)`. All three are linear in x and are applied as
    one; the result is clipped to [0, 1].

    Args:
        sample: dict of arrays or of tensors.
        brightness: float b. 1 leaves it as it is, as for the others.
        contrast: float c. 0 is grey all over.
        saturation: float s. 0 is a grey picture.

    Returns:
        dict with a new image.
    """
    image = sample["image"]
    xp = namespace(image)
    mixing = saturation * np.eye(3) + (1 - saturation) * _LUMA[:, None]
    mixing = (brightness * contrast * mixing).astype(np.float32)
    # Over one axis after the other: much faster in NumPy.
    mean = xp.sum(xp.multiply(xp.mean(xp.mean(image, axis=0), axis=0), _LUMA))
    image = xp.matmul(image, mixing) + float((1 - contrast) * brightness) * mean
    return {**sample, "image": xp.clip(image, 0.0, 1.0)}


def normalize_image(sample, mean, std):
    """`(image - mean) / std` per channel.

    Args:
        sample: dict of arrays or of tensors.
        mean: float or sequence of three.
        std: float or sequence of three.

    Returns:
        dict with a new image.

    Example:

    >>> sample = {"image": np.full((2, 2, 3), 0.5, "float32")}
    >>> normalize_image(sample, 0.5, 0.25)["image"].max()
    0.0
    """
    mean, scale = np.asarray(mean, np.float32), 1 / np.asarray(std, np.float32)
    xp = namespace(sample["image"])
    return {**sample, "image": xp.multiply(xp.subtract(sample["image"], mean), scale)}
