"""What a run is made with: versions, processor and devices."""

import os
import pathlib
import platform

import keras

from keras_atinet.version import __version__


def versions():
    """Versions of the package, Keras, the backend and Python."""
    return {
        "keras_atinet": __version__,
        "keras": keras.version(),
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
    }


def compute_deterministically():
    """Makes the backend compute the same from the same seed, slower, to the end of the process.

    What an operation computes on a GPU may otherwise depend on the order in which its threads
    arrive. To be called before anything is computed. Where an operation has no deterministic way,
    TensorFlow raises an error and PyTorch warns, each with its name; JAX has one for all.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif keras.backend.backend() == "torch":
        import torch

        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
    else:
        flags = os.environ.get("XLA_FLAGS", "").split()
        os.environ["XLA_FLAGS"] = " ".join([*flags, "--xla_gpu_deterministic_ops=true"])


def machine():
    """What computes: the processor, its cores in use, and the devices of the backend."""
    return {"processor": _processor(), "cores": _cores(), "devices": ", ".join(devices())}


def devices():
    """Names of the devices of the backend."""
    if keras.backend.backend() == "torch":
        # `keras.distribution` does not know PyTorch yet.
        import torch

        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] or ["cpu"]
    if keras.backend.backend() == "jax":
        import jax

        return [device.device_kind for device in jax.devices()]
    import tensorflow as tf

    found = [
        tf.config.experimental.get_device_details(d) for d in tf.config.list_physical_devices("GPU")
    ]
    return [details.get("device_name", "GPU") for details in found] or ["cpu"]


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()
