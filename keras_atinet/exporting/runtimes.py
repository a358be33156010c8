"""Exported files, each in its own runtime."""

import pathlib

import numpy as np

from keras_atinet.exporting.formats import FORMATS, check_packages


class ExportedModel:
    """An exported file in the runtime that its format is made for.

    Args:
        path: str or path, as `export_model` wrote it; files of `quantize` as well.
        precision: `"float32"` or `"bfloat16"`, what OpenVINO computes in what is not int8. Left to
            itself it takes bfloat16 wherever the processor has it. Defaults to `"float32"`.

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
        self._predict = _LOADERS[self.format](str(self.path), **options)

    def __call__(self, images):
        outputs = self._predict(np.ascontiguousarray(images, "float32"))
        return {name: np.asarray(output) for name, output in outputs.items()}


def _load_saved_model(path):
    import tensorflow as tf

    model = tf.saved_model.load(path)
    # Its function alone would not keep the weights.
    return lambda images: model.serve(images)


def _load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(names, session.run(names, {"image": images}), strict=True))


def _load_openvino(path, precision):
    import openvino

    hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": hint})

    def predict(images):
        results = model(images)
        # Copied: the next call writes to the same memory.
        return {output.any_name: np.array(results[output]) for output in model.outputs}

    return predict


def _load_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    # A runner gives every size its own memory.
    runner = Interpreter(path).get_signature_runner("serving_default")
    return lambda images: runner(image=images)


def _load_torch(path):
    import torch

    program = torch.export.load(path).module()

    def predict(images):
        with torch.no_grad():
            return program(torch.from_numpy(images))

    return predict


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
