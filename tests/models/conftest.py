import json
import pathlib
import zlib

import numpy as np
import pytest

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "golden"


@pytest.fixture(scope="session")
def golden_network():
    """`golden_network(name)` -> (specification, arrays, weights), see golden/README.md."""
    if not SHARED.is_dir():
        pytest.skip(f"The golden outputs are not here: {SHARED}")

    def load(name):
        specification = json.loads((SHARED / f"{name}.json").read_text())
        weights = {
            key: _golden_weight(key, shape)
            for key, shape in specification["state_dict"]
            if "num_batches_tracked" not in key
        }
        return specification, np.load(SHARED / f"{name}.npz"), weights

    return load


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
