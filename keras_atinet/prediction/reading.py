"""Pictures as they are given: paths, Pillow's, arrays."""

import os
import pathlib

import numpy as np

from keras_atinet.data.sources.pictures import read_pixels


def read_picture(image):
    """The pixels of a picture, upright.

    Args:
        image: one of
            - path of a picture file of any kind that Pillow reads,
            - `PIL.Image.Image` of any mode,
            - array `(H, W, 3)`, uint8 or floats in [0, 1].

    Returns:
        `(H, W, 3)`, uint8, or float32 in [0, 1] where it was floats or had more than 8 bits. Files
        and pictures of Pillow are turned as their EXIF orientation says, arrays never.

    Raises:
        ValueError: if it is none of these, empty, damaged, or has other numbers.
        FileNotFoundError: if there is no such file.
    """
    if isinstance(image, (str, os.PathLike)):
        path = pathlib.Path(image)
        if not path.exists():
            raise FileNotFoundError(f"There is no such image file. Received: '{path}'.")
        return read_pixels(path)
    if hasattr(image, "getexif"):
        return read_pixels(image)
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[-1] != 3 or 0 in array.shape:
        hint = " For several, call `predict(images)`." if array.ndim == 4 else ""
        raise ValueError(
            "An image must be a path, a `PIL.Image.Image` or an array (height, width, 3). "
            f"Received: a {type(image).__name__} of shape {array.shape}, {array.dtype}.{hint}"
        )
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            "The array of an image must be uint8, or floats in [0, 1]. "
            f"Received: dtype {array.dtype}. Convert it: `array.astype('uint8')`."
        )
    lowest, highest = array.min(), array.max()
    # A comparison with NaN is false.
    if not (lowest >= 0 and highest <= 1):
        raise ValueError(
            "The floats of an image must be in [0, 1]. "
            f"Received: {lowest:.6g} to {highest:.6g}. Divide them by the number that stands for "
            "white, 255 for instance."
        )
    return array.astype(np.float32, copy=False)


def read_bytes(image):
    """The pixels of `read_picture` as uint8."""
    pixels = read_picture(image)
    return pixels if pixels.dtype == np.uint8 else np.rint(255 * pixels).astype("uint8")
