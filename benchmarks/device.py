"""The device that Keras's backend computes on: its name, memory, precision and speed."""

import importlib
import time

import keras

BACKEND = keras.backend.backend()


def accelerator():
    """The name of the first accelerator, or None."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        for device in tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_device_details(device)["device_name"]
        return None
    if BACKEND == "jax":
        import jax

        device = jax.local_devices()[0]
        return None if device.platform == "cpu" else device.device_kind
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def peak_memory():
    """Bytes of the accelerator's memory that were in use at the peak; None without one."""
    if accelerator() is None:
        return None
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    if BACKEND == "jax":
        import jax

        return jax.local_devices()[0].memory_stats()["peak_bytes_in_use"]
    import torch

    return torch.cuda.max_memory_allocated()


def set_precision(dtype):
    """Whether products in float32 on an accelerator may round their factors to TF32."""
    if dtype not in ("float32", "tf32") or accelerator() is None:
        return
    allowed = dtype == "tf32"
    if BACKEND == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(allowed)
    elif BACKEND == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if allowed else "float32")
    else:
        import torch

        torch.set_float32_matmul_precision("high" if allowed else "highest")
        torch.backends.cudnn.allow_tf32 = allowed


def product_rate(dtype, size, repeats=5):
    """FLOP/s of products of square matrices, the median of some repeats."""
    x = keras.random.normal((size, size), dtype=dtype)

    def seconds(products):
        start = time.perf_counter()
        for _ in range(products):
            y = keras.ops.matmul(x, x)
        keras.ops.convert_to_numpy(keras.ops.cast(y[0, 0], "float32"))  # waits for the device
        return time.perf_counter() - start

    seconds(2)
    products = max(1, int(0.3 / seconds(1)))
    times = sorted(seconds(products) for _ in range(repeats))
    return 2 * size**3 * products / times[repeats // 2]


def versions():
    """Versions of Keras and its backend, a list of str."""
    backend = importlib.import_module(BACKEND).__version__
    return [f"Keras {keras.version()}", f"{BACKEND} {backend}"]
