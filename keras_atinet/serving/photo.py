"""Photographs that visitors send: bounded before they are decoded."""

import pathlib

import numpy as np

from keras_atinet.data.sources.pillow import pillow
from keras_atinet.prediction.reading import read_bytes

# Pillow knows dozens; the decoder of one starts another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
LONGEST_SIDE = 1280  # pixels, of what is shown


def read_photo(path, max_megapixels):
    """Reads a photograph, at most as large as it is shown.

    Args:
        path: str or path of a file.
        max_megapixels: float, the most that are decoded.

    Returns:
        uint8 array `(height, width, 3)`, upright, its longest side at most `LONGEST_SIDE`.

    Raises:
        ValueError: if the file is not a picture, is damaged, or has more pixels. The message has
            the name of the file and not its folder.
    """
    path, image = pathlib.Path(path), pillow()
    try:
        with image.open(path, formats=FORMATS) as picture:
            megapixels = picture.width * picture.height / 1e6
    # Decoders report damage by exceptions of many kinds.
    except Exception as error:
        raise ValueError(
            "The file is not a picture, or is damaged. "
            f"Received: '{path.name}'. Choose a JPEG, PNG, WebP, TIFF, BMP or GIF file."
        ) from error
    if megapixels > max_megapixels:
        raise ValueError(
            f"The picture has more than {max_megapixels:g} megapixels. "
            f"Received: '{path.name}' with {megapixels:.1f}. Make it smaller."
        )
    try:
        photo = image.fromarray(read_bytes(path))
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), path.name)) from error
    photo.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return np.asarray(photo)
