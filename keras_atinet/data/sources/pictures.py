"""Picture files of every kind, read with Pillow."""

import contextlib
import os
from typing import NamedTuple

import numpy as np

from keras_atinet.data.sources.pillow import pillow
from keras_atinet.files import one_line

PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
UPRIGHT, SIDEWAYS = 1, (5, 6, 7, 8)  # EXIF orientations: no turn; height and width change places
_ORIENTATION, _WIDTH, _HEIGHT, _WHITE_IS_ZERO = 0x0112, 0x0100, 0x0101, 0x0106  # tags
# EXIF orientation -> the array upright; others leave it as it is.
_TURNS = {
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.swapaxes(0, 1),
    6: lambda array: array.swapaxes(0, 1)[:, ::-1],
    7: lambda array: array.swapaxes(0, 1)[::-1, ::-1],
    8: lambda array: array.swapaxes(0, 1)[::-1],
}
_INVERSE = {6: 8, 8: 6}  # all others are their own


class Stored(NamedTuple):
    """What a picture file holds.

    Attributes:
        array: `(H, W)` or `(H, W, C)`, the numbers as they are stored, not turned.
        orientation: int, the EXIF orientation: 1 is upright.
        mode: str, Pillow's name of what a pixel is: `"RGB"`, `"P"` (an index of a palette), ...
        white: the number that stands for white, or None if the format does not say.
        is_lossy: bool, whether the numbers are only about those that were written.
    """

    array: np.ndarray
    orientation: int = UPRIGHT
    mode: str = ""
    white: float | None = None
    is_lossy: bool = False


def read_image(path):
    """Reads a picture of any kind as RGB, upright.

    Every bit depth has its own range: 1.0 is 255 of 8 bits, 65535 of 16. Of colours of 16 bits
    the upper 8 are read. Floats must be in [0, 1]. An alpha channel is dropped; of several
    frames the first is read; colour profiles are not applied.

    Args:
        path: `pathlib.Path` of a JPEG, PNG, TIFF or any other file that Pillow reads.

    Returns:
        `(H, W, 3)` float32 in [0, 1].

    Raises:
        ValueError: if the file is empty, damaged or no picture, or the range of its numbers is
            not known.
    """
    return as_floats(read_pixels(path))


def read_pixels(picture):
    """Reads a picture as `read_image` does, without making 8 bits into floats.

    Args:
        picture: path as of `read_image`; or a `PIL.Image.Image`, which is then left as it is.

    Returns:
        `(H, W, 3)` uint8, or float32 in [0, 1] where the picture has more bits.

    Raises:
        ValueError: as of `read_image`.
    """
    return upright(*_stored_pixels(picture))


def as_floats(pixels):
    """Pixels of `read_pixels` as float32 in [0, 1]."""
    return pixels.astype(np.float32) / 255.0 if pixels.dtype == np.uint8 else pixels


def stored_image(path):
    """Reads a picture as it is stored.

    Returns:
        The pixels, as of `read_image` but not turned; and int, the EXIF orientation.
    """
    pixels, orientation = _stored_pixels(path)
    return as_floats(pixels), orientation


def _stored_pixels(path):
    stored = read_stored(path, as_image=True)
    array = stored.array
    if array.dtype == np.uint8:
        return array, stored.orientation
    if stored.white is None:
        raise ValueError(
            "The range of whole numbers that are signed, or have 32 bits, is not known. "
            f"Received: '{path}', {array.min()} to {array.max()}. Save it with 8 bits, or with 16 "
            "that are not signed."
        )
    gray = array.astype(np.float32) / np.float32(stored.white)
    lowest, highest = gray.min(), gray.max()
    # A comparison with NaN is false.
    if not (lowest >= 0 and highest <= 1):
        raise ValueError(
            f"The floats of a picture must be in [0, 1]. Received: {lowest:.6g} to "
            f"{highest:.6g} in '{path}'. Divide them by the number that stands for white."
        )
    return np.repeat(gray[..., None], 3, axis=-1), stored.orientation


def stored_size(path):
    """The size of a picture from its header alone: `(height, width)` as stored; orientation."""
    with _opened(path) as picture:
        tags = getattr(picture, "tag_v2", {})  # of TIFF, whose `size` is that after the turn
        size = tags.get(_HEIGHT, picture.height), tags.get(_WIDTH, picture.width)
        # The method of PNG decodes all pixels to look behind them.
        return size, _orientation(picture, pillow().Image.getexif)


def upright(array, orientation):
    """Turns an array of pixels as the EXIF orientation says.

    Args:
        array: `(H, W)` or `(H, W, C)`.
        orientation: int from 1 (as it is) to 8.

    Returns:
        The array, `(W, H, ...)` for an orientation above 4.
    """
    if orientation not in _TURNS:
        return array
    return np.ascontiguousarray(_TURNS[orientation](array))


def read_stored(path, as_image=False):
    """Reads what a picture file holds.

    Args:
        path: `pathlib.Path`.
        as_image: bool, whether all but grey of more than 8 bits becomes 8-bit RGB.

    Returns:
        `Stored`.

    Raises:
        ValueError: if the file is empty, damaged or no picture.
    """
    with _opened(path) as picture:
        raw_mode = _raw_mode(picture)
        # Pillow turns TIFF, and only TIFF, by itself.
        orientation = _orientation(picture, type(picture).getexif)
        picture.load()
        turned = orientation != _orientation(picture, type(picture).getexif)
        is_lossy = picture.format in ("JPEG", "MPO")
        is_deep = picture.mode in ("I", "F") or picture.mode.startswith("I;16")
        white = _white(picture, raw_mode)
        mode = picture.mode
        if as_image and not is_deep and mode != "RGB":
            picture.info.pop("transparency", None)  # of a palette, which Pillow would warn of
            picture = picture.convert("RGB")
        array = np.asarray(picture)
        # Grey of 2 and 4 bits comes as 8 bits, from black to white.
        if not as_image and raw_mode.startswith(("L;2", "L;4")):
            array = array // (85 if raw_mode.startswith("L;2") else 17)
        inverted = getattr(picture, "tag_v2", {}).get(_WHITE_IS_ZERO) == 0
    if inverted and mode != "1" and (is_deep or not as_image):
        raise ValueError(
            f"A TIFF file in which 0 is white is not read as numbers. Received: '{path}'. "
            "Save it again with 0 as black (`PhotometricInterpretation` 1)."
        )
    if turned:
        array = upright(array, _INVERSE.get(orientation, orientation))
    return Stored(array, orientation, mode, white, is_lossy)


def _white(picture, raw_mode):
    if picture.mode == "I":  # PNG and PGM of 16 bits; whole numbers of 32 bits of TIFF
        return None if picture.format == "TIFF" else 65535
    if picture.mode.startswith("I;16"):
        return 4095 if raw_mode == "I;12" else 65535
    return 1 if picture.mode in ("F", "1") else 255


def _raw_mode(picture):
    # How a pixel is stored: a str, or the first of several arguments of a decoder. A picture that
    # comes from no file has no `tile`.
    tile = getattr(picture, "tile", ())
    arguments = tile[0][3] if tile else ""
    raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw_mode if isinstance(raw_mode, str) else ""


def _orientation(picture, getexif):
    try:
        orientation = getexif(picture).get(_ORIENTATION)
    # EXIF data that are damaged, by exceptions of many kinds: they turn nothing.
    except Exception:
        return UPRIGHT
    return orientation if orientation in _TURNS else UPRIGHT


@contextlib.contextmanager
def _opened(path):
    # The picture of a file; whatever its decoder raises becomes one clear error.
    image = pillow()
    is_open = isinstance(path, image.Image)
    with contextlib.nullcontext() if is_open else open_filled(path) as file:
        try:
            with path.copy() if is_open else image.open(file) as picture:
                yield picture
        except image.UnidentifiedImageError as error:
            raise ValueError(
                "The file cannot be decoded: it is damaged, or not a kind of picture that Pillow "
                f"reads. Received: '{path}'. Save it as PNG (a target of floats as .npy), or "
                "remove it."
            ) from error
        except image.DecompressionBombError as error:
            raise ValueError(
                "The picture has more pixels than are read, "
                f"{2 * image.MAX_IMAGE_PIXELS}. Received: '{path}'. Make it smaller."
            ) from error
        # Decoders report damage by exceptions of many kinds: SyntaxError, struct.error, ...
        except Exception as error:
            raise damaged(path, error) from error


def damaged(path, error):
    """The error to raise for what a decoder raised."""
    return ValueError(
        f"The file cannot be decoded; it may be cut short. Received: '{path}' ({one_line(error)}). "
        "Write it again or remove it."
    )


def open_filled(path):
    """Opens a file to read bytes.

    Raises:
        ValueError: if it cannot be opened, or is empty.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ValueError(
            f"The file cannot be opened. Received: '{path}' ({error.strerror}). "
            "Correct it or remove it."
        ) from error
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise ValueError(
            f"The file has zero bytes. Received: '{path}'. Write it again or remove it."
        )
    return file
