"""Samples as the pictures that tensorflow-datasets stores, and back."""

import io

import numpy as np

from keras_atinet.data.sources.cleaning import unit_vectors
from keras_atinet.data.sources.pillow import pillow
from keras_atinet.data.sources.target_files import IGNORED

_IGNORED_BYTE = 255
_QUALITY = 92


def encode(sample, image=None, normal=None):
    """Encodes a sample as four pictures.

    - image: RGB of 8 bits a channel, JPEG of quality 92 without chroma subsampling;
    - segmentation: 8 bits, 255 = ignored; exact;
    - depth: 16 bits, millimetres, 0 = ignored, at most 65.535 m; exact to half a millimetre;
    - normal: RGB `round((n + 1) * 127.5)`, JPEG as the image; ignored is grey.

    What was written is read back exactly. But a JPEG is not the original: on NYUv2 the image is
    1.0 grey levels off on average, and a normal 1.1 degrees (0.8 in the median).

    Args:
        sample: dict, as a `Source` returns it; every pixel of an absent target is ignored.
        image, normal: optional path of an 8-bit RGB picture, stored as it is.

    Returns:
        dict of a binary file, two arrays `(H, W, 1)` uint8 and uint16, and a binary file.

    Raises:
        ValueError: if a class does not fit into 8 bits.
    """
    size = sample["image"].shape[:2]
    labels = sample.get("segmentation", np.full(size, IGNORED))
    if labels.max() >= _IGNORED_BYTE:
        raise ValueError(
            f"Classes must be in [0, {_IGNORED_BYTE}) to be stored in 8 bits. "
            f"Received: class {labels.max()}. `keras-atinet data prepare` has no such limit."
        )
    labels = np.where(labels == IGNORED, _IGNORED_BYTE, labels)
    depth = sample.get("depth", np.zeros((*size, 1)))
    vectors = sample.get("normal", np.zeros((*size, 3)))
    millimetres = np.minimum(np.rint(depth * 1000.0), np.iinfo(np.uint16).max)
    return {
        "image": _file(image) if image else _jpeg(sample["image"] * 255),
        "segmentation": labels.astype(np.uint8)[..., None],
        "depth": millimetres.astype(np.uint16),
        "normal": _file(normal) if normal else _jpeg((vectors + 1) * 127.5),
    }


def decode(pictures):
    """The inverse of `encode`, from decoded pictures.

    Args:
        pictures: dict of arrays, uint8 or, for depth, uint16: `image` and any of the targets.

    Returns:
        dict, as a `Source` returns it.
    """
    sample = {"image": pictures["image"].astype(np.float32) / 255.0}
    if "segmentation" in pictures:
        labels = pictures["segmentation"].reshape(sample["image"].shape[:2]).astype(np.int32)
        sample["segmentation"] = np.where(labels == _IGNORED_BYTE, np.int32(IGNORED), labels)
    if "depth" in pictures:
        millimetres = pictures["depth"].reshape(*sample["image"].shape[:2], 1)
        sample["depth"] = millimetres.astype(np.float32) * np.float32(0.001)
    if "normal" in pictures:
        vectors = pictures["normal"].astype(np.float32) / np.float32(127.5) - 1.0
        sample["normal"] = unit_vectors(vectors)
    return sample


def read_picture(content):
    """Decodes the bytes of a JPEG or PNG file into an array; damage raises Pillow's errors."""
    with pillow().open(io.BytesIO(content)) as picture:
        return np.asarray(picture)


def _file(path):
    return io.BytesIO(path.read_bytes())


def _jpeg(pixels):
    file = io.BytesIO()
    picture = pillow().fromarray(np.rint(pixels).astype(np.uint8))
    picture.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    file.seek(0)
    return file
