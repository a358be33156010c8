import keras
import numpy as np
import pytest

import keras_atinet

# Tracing costs TensorFlow more than running eagerly, the other two not.
EAGER = keras.backend.backend() == "tensorflow"


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    images = random.random((4, 32, 64, 3), dtype="float32")
    targets = {
        "segmentation": random.integers(-1, 5, (4, 32, 64)).astype("int32"),
        "depth": random.uniform(-1, 5, (4, 32, 64, 1)).astype("float32"),
        "normal": random.normal(size=(4, 32, 64, 3)).astype("float32"),
    }
    return images, targets


@pytest.fixture
def make():
    """`make(network, tasks, **compile_arguments)`: a small compiled network."""

    def make(network=keras_atinet.Split, tasks=("segmentation", "depth"), **compile_arguments):
        keras.utils.set_random_seed(1)
        dtype = compile_arguments.pop("dtype", None)
        channels = {"segmentation": 5, "depth": 1, "normal": 3}
        model = network(
            tasks={name: channels[name] for name in tasks},
            input_shape=(32, 64, 3),
            filters=(4, 4, 4, 4, 4),
            dtype=dtype,
        )
        defaults = {"optimizer": keras.optimizers.Adam(1e-2), "run_eagerly": EAGER}
        model.compile(**{**defaults, **compile_arguments})
        return model

    return make


@pytest.fixture
def values():
    """`values(variables)`: NumPy copies."""
    return lambda variables: [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
