"""Exported float32 files in int8, by the tools of their runtimes' makers."""

import pathlib
import tempfile

import numpy as np

from keras_atinet.data import resize
from keras_atinet.exporting.formats import check_packages
from keras_atinet.files import replacing
from keras_atinet.settings import QUANTIZED


def quantize(path, out, images):
    """Writes an exported file anew, with weights and activations in int8.

    The ranges of the activations are those that some real images give. ONNX files are quantized
    by ONNX Runtime, OpenVINO's by NNCF.

    Args:
        path: str or path of an `.onnx` or `.xml` file of `export_model`.
        out: str or path of the file to write, with the same suffix.
        images: iterable of float32 arrays `(batch, height, width, channels)`, some hundreds of
            training images.

    Returns:
        `out`, a `pathlib.Path`.

    Raises:
        ValueError: if the format is another one, or `out` is `path` or of another format.
        OSError: if the system refuses to write it; what was there before is unchanged.
        ImportError: if the tool is not installed.

    Example:
        >>> images = calibration_images(Folder("nyuv2", "train"), (288, 384))
        >>> quantize("best.onnx", "best-int8.onnx", images)
    """
    path, out = pathlib.Path(path), pathlib.Path(out)
    if path.suffix not in _TOOLS:
        raise ValueError(f"Files of the formats {QUANTIZED} can be quantized. Received: '{path}'.")
    if out.suffix != path.suffix or out == path:
        raise ValueError(
            f"`out` must be another file with the suffix of `path`. Received: '{out}' for '{path}'."
        )
    package, write = _TOOLS[path.suffix]
    check_packages([package], f"quantizes '{path.suffix}' files")
    with replacing(out) as new:
        write(path, new, images)
    return out


def calibration_images(source, image_size, batch_size=1):
    """The images of a source as `quantize` takes them; what fills no batch is left out.

    Args:
        source: a `keras_atinet.data.Source`.
        image_size: `(height, width)`, in pixels.
        batch_size: int. Defaults to 1.

    Yields:
        float32 arrays `(batch_size, height, width, channels)`.
    """
    images = []
    for index in range(len(source)):
        image = resize({"image": source[index]["image"]}, image_size)["image"]
        images.append(np.asarray(image, "float32"))
        if len(images) == batch_size:
            yield np.stack(images)
            images = []


def _quantize_onnx(path, out, images):
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self._images = iter(images)

        def get_next(self):
            batch = next(self._images, None)
            return None if batch is None else {"image": batch}

    with tempfile.TemporaryDirectory() as folder:
        prepared = pathlib.Path(folder) / path.name
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            out,
            Reader(),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def _quantize_openvino(path, out, images):
    import nncf
    import openvino

    images = list(images)
    model = nncf.quantize(
        openvino.Core().read_model(path),
        nncf.Dataset(images),
        # Sigmoids and ReLUs: activations of one sign and of both.
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
    )
    openvino.save_model(model, out, compress_to_fp16=False)


_TOOLS = {".onnx": ("onnxruntime", _quantize_onnx), ".xml": ("nncf", _quantize_openvino)}
