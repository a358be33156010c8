"""Exported files, each in its own runtime."""

import json
import pathlib

import numpy as np

from keras_atinet.exporting.formats import FORMATS, check_packages
from keras_atinet.exporting.metadata import KEY, read_from_files


class ExportedModel:
    """An exported file in the runtime that its format is made for.

    Args:
        path: str or path, as `export_model` wrote it; files of `quantize` as well.
        precision: `"float32"` or `"bfloat16"`, what OpenVINO computes in what is not int8. Left to
            itself it takes bfloat16 wherever the processor has it. Defaults to `"float32"`.

    Attributes:
        metadata: dict, what the file says of itself: `version`, `network`, `image` (`shape`,
            `layout`, `channels`, `range`) and `tasks`, by name (`kind`, `channels`, and for classes
            `class_names` and `class_colors`). None of files that this package did not write.

    Call arguments:
        images: float32 array `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 array `(batch, height, width, channels of the task)`.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        ValueError: if its suffix is that of no format.
        ImportError: if the runtime is not installed.

    Example:
        >>> model = ExportedModel("best.onnx")
        >>> depth = model(images)["depth"]
        >>> names = model.metadata["tasks"]["segmentation"]["class_names"]
    """

    def __init__(self, path, precision="float32"):
        self.path = pathlib.Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"There is no exported model '{path}'.")
        suffix = "" if self.path.is_dir() else self.path.suffix
        names = [name for name, form in FORMATS.items() if form.suffix == suffix]
        if not names:
            suffixes = [form.suffix for form in FORMATS.values() if form.suffix]
            raise ValueError(
                f"An exported model is a folder or ends with one of {suffixes}. Received: '{path}'."
            )
        (self.format,) = names
        check_packages([RUNTIMES[self.format]], f"runs the format '{self.format}'")
        options = {"precision": precision} if self.format == "openvino" else {}
        self._predict, metadata = _LOADERS[self.format](self.path, **options)
        self.metadata = json.loads(metadata) if metadata else None

    def __call__(self, images):
        outputs = self._predict(np.ascontiguousarray(images, "float32"))
        return {name: np.asarray(output) for name, output in outputs.items()}


def _load_saved_model(path):
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    # Its function alone would not keep the weights.
    return lambda images: model.serve(images), read_from_files(path)


def _load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    metadata = session.get_modelmeta().custom_metadata_map.get(KEY)

    def predict(images):
        return dict(zip(names, session.run(names, {"image": images}), strict=True))

    return predict, metadata


def _load_openvino(path, precision):
    import openvino

    hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
    core = openvino.Core()
    network = core.read_model(path)
    metadata = network.get_rt_info(KEY).astype(str) if network.has_rt_info(KEY) else None
    model = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": hint})

    def predict(images):
        results = model(images)
        # Copied: the next call writes to the same memory.
        return {output.any_name: np.array(results[output]) for output in model.outputs}

    return predict, metadata


def _load_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    # A runner gives every size its own memory.
    runner = Interpreter(str(path)).get_signature_runner("serving_default")
    return lambda images: runner(image=images), read_from_files(path)


def _load_torch(path):
    import torch

    program = torch.export.load(path).module()

    def predict(images):
        with torch.no_grad():
            return program(torch.from_numpy(images))

    return predict, read_from_files(path)


# The package that runs each format.
RUNTIMES = {
    "tf_saved_model": "tensorflow",
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "litert": "ai_edge_litert",
    "torch": "torch",
}
_LOADERS = {
    "tf_saved_model": _load_saved_model,
    "onnx": _load_onnx,
    "openvino": _load_openvino,
    "litert": _load_litert,
    "torch": _load_torch,
}
