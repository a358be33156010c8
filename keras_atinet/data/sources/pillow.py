"""Pillow, which reads and writes pictures."""


def pillow():
    """The module `PIL.Image`.

    Raises:
        ImportError: if Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Reading and writing pictures needs Pillow. "
            "Install it with `pip install keras-atinet[data]`."
        ) from error
    return Image
