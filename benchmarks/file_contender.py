"""Exported files as contenders, each in its own runtime."""

import pathlib
import time

from workload import random_batch


class Inference:
    """Predictions of an `.onnx` file in ONNX Runtime, or of an OpenVINO `.xml` file."""

    def __init__(self, workload):
        self.workload = workload
        self.suffix = pathlib.Path(workload.file).suffix
        if self.suffix == ".onnx":
            import onnxruntime as runtime
        elif self.suffix == ".xml":
            import openvino as runtime
        else:
            raise ValueError(
                "`--file` takes what ONNX Runtime (.onnx) or OpenVINO (.xml) reads. "
                f"Received: {workload.file}."
            )
        self.runtime = runtime

    def prepare(self):
        images, _ = random_batch(self.workload)
        make = self._onnx if self.suffix == ".onnx" else self._openvino
        self.run = make(images)
        return {"versions": [f"{self.runtime.__name__} {self.runtime.__version__}"]}

    def step(self):
        start = time.perf_counter()
        self.run()
        return time.perf_counter() - start

    def device_memory(self):
        return None

    def _onnx(self, images):
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = self.workload.threads
        session = self.runtime.InferenceSession(
            self.workload.file, options, providers=["CPUExecutionProvider"]
        )
        (image,) = session.get_inputs()
        return lambda: session.run(None, {image.name: images})

    def _openvino(self, images):
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self.workload.threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        compiled = self.runtime.Core().compile_model(self.workload.file, "CPU", options)
        return lambda: compiled(images)
