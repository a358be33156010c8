import json
import os
import signal
from pathlib import Path

import keras
import numpy as np
import pytest

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    # Two devices for `tf.distribute`; possible only before TensorFlow is used.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )

# A job in the background of a script ignores Ctrl-C, which some tests send to themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)

GOLDEN = Path(__file__).parent / "golden"


MAX_MAPS = 20_000
ONCE = ("backend_free", "one_backend")


def pytest_collection_modifyitems(config, items):
    """Leaves what needs one backend only to PyTorch, unless KERAS_ATINET_TEST_ALL is set."""
    if keras.backend.backend() == "torch" or os.environ.get("KERAS_ATINET_TEST_ALL"):
        return
    repeated = [item for item in items if any(map(item.get_closest_marker, ONCE))]
    config.hook.pytest_deselected(items=repeated)
    items[:] = [item for item in items if item not in repeated]


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Each program that JAX compiles keeps some of the memory maps that a process may have.

    Without any left it crashes, which would happen to all tests in one process (Linux: 65,530).
    """
    yield
    maps = Path("/proc/self/maps")
    if keras.backend.backend() == "jax" and (
        not maps.exists() or maps.read_bytes().count(b"\n") > MAX_MAPS
    ):
        import jax

        jax.clear_caches()


@pytest.fixture(scope="session")
def golden():
    """Expected values, with the arrays that they were computed from under "arrays"."""
    with np.load(GOLDEN / "metrics.npz") as arrays:
        return {**json.loads((GOLDEN / "metrics.json").read_text()), "arrays": dict(arrays)}


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory):
    """The file of an encoder of two layers, for what a SegNet would take long."""
    x = image = keras.Input((None, None, 3))
    for _ in range(2):
        x = keras.layers.Conv2D(4, 3, 2, "same", activation="relu")(x)
    path = tmp_path_factory.mktemp("encoder") / "small.keras"
    keras.Model(image, x, name="small").save(path)
    return path


@pytest.fixture
def limit_files():
    """Lets no file grow beyond some bytes, which the system reports as it does a full disk."""
    resource = pytest.importorskip("resource", reason="needs limits of POSIX")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def apply(function, *arrays):
    """What a function of tensors makes of arrays, as arrays; compiled on JAX, for speed."""
    if keras.backend.backend() == "jax":
        import jax

        function = jax.jit(function)
    outputs = function(*(keras.ops.convert_to_tensor(array) for array in arrays))
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def gradient(function, array):
    """Gradient of a function from a tensor to a scalar tensor, as an array."""
    x = keras.ops.convert_to_tensor(array)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x).numpy()
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.jit(jax.grad(function))(x))
    import torch

    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(function(x), x)[0].cpu().numpy()


@pytest.fixture(name="apply", scope="session")
def _apply():
    return apply


@pytest.fixture(name="gradient", scope="session")
def _gradient():
    return gradient
