import json
import pathlib
import zlib

import numpy as np
import pytest

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def golden_network():
    """`golden_network(name)` -> (specification, arrays, weights).

    The arrays are outputs of PyTorch versions of the published networks, computed in float64, every
    fourth row and column. The weights follow from the names of the PyTorch checkpoint.
    """

    def load(name):
        specification = json.loads((GOLDEN / f"{name}.json").read_text())
        weights = {
            key: _golden_weight(key, shape)
            for key, shape in specification["state_dict"]
            if "num_batches_tracked" not in key
        }
        return specification, np.load(GOLDEN / f"{name}.npz"), weights

    return load


@pytest.fixture(scope="session")
def randomize():
    """`randomize(model)`: weights as after training, with statistics, negative gammas and biases.

    The share of a distillation stays as it is.
    """

    def randomize(model):
        random = np.random.default_rng(0)
        for weight in model.weights:
            if weight.name == "share":
                continue
            z = random.standard_normal(weight.shape)
            if len(weight.shape) == 4:
                z *= np.sqrt(2 / np.prod(weight.shape[:3]))
            elif weight.name == "moving_variance":
                z = 1 + 0.3 * np.abs(z)
            elif weight.name == "gamma":
                z = np.sign(z) + 0.1 * z
            else:
                z *= 0.1
            weight.assign(z.astype("float32"))
        return model

    return randomize


def _golden_weight(name, shape):
    random = np.random.RandomState(zlib.crc32(name.encode()))
    z = random.standard_normal(tuple(shape))
    if len(shape) == 4:
        value = z * np.sqrt(1.5 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        value = 1 + 0.2 * np.abs(z)
    elif name.endswith(("running_mean", "bias")):
        value = 0.1 * z
    else:
        value = 1 + 0.1 * z
    return value.astype("float32")
