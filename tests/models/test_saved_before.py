"""Files from before optimizers had groups and the distillation a share.

Networks of two filters, trained for a few steps with Adam and DWA on PyTorch, and what the code of
then (commit 893d7e4) predicted with them.
"""

import gzip
import io
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import keras_atinet

SAVED = Path(__file__).parent.parent / "saved"
NAMES = ("atinet", "atinet_phase_2", "atinet_float16", "mtan", "padnet", "single", "split")
ON_ALL = ("atinet_phase_2", "single")


@pytest.fixture(
    params=[
        name if name in ON_ALL else pytest.param(name, marks=pytest.mark.one_backend)
        for name in NAMES
    ]
)
def name(request):
    return request.param


@pytest.fixture
def file(name, tmp_path):
    path = tmp_path / f"{name}.keras"
    path.write_bytes(gzip.decompress((SAVED / f"{name}.keras.gz").read_bytes()))
    return path


def saved_arrays(file, group):
    """The variables of an object in a `.keras` file, in their order."""
    with zipfile.ZipFile(file) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as store:
        saved = store[f"{group}/vars"]
        return [np.array(saved[str(index)]) for index in range(len(saved))]


def test_a_file_from_before(name, file):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Skipping variable loading")
        model = keras.saving.load_model(file)
    image = np.random.default_rng(2).random((1, 32, 32, 3), dtype="float32")
    with np.load(SAVED / "predictions.npz") as expected:
        for task, prediction in model(image, training=False).items():
            prediction = keras.ops.convert_to_numpy(prediction)[0, ::4, ::4]
            bound = 5e-3 if "float16" in name else 1e-5
            np.testing.assert_allclose(prediction, expected[f"{name}_{task}"], rtol=0, atol=bound)

    # All that Adam remembered is with the weight that it is of.
    optimizer, group = model.optimizer, "optimizer"
    if "float16" in name:
        own = saved_arrays(file, group)[:4]
        assert float(optimizer.dynamic_scale) == own[3] and int(optimizer.step_counter) == own[2]
        optimizer, group = optimizer.inner_optimizer, "optimizer/inner_optimizer"
    iterations, rate, *slots = saved_arrays(file, group)
    assert int(optimizer.iterations) == iterations > 0
    assert float(optimizer.learning_rate) == rate
    count = 0
    parts = getattr(optimizer, "_parts", None)
    for part in [part.optimizer for part in parts] if parts else [optimizer]:
        assert int(part.iterations) == iterations
        places = [
            next(i for i, v in enumerate(model.trainable_variables) if v is variable)
            for variable in part._trainable_variables
        ]
        for place, *found in zip(places, part._momentums, part._velocities, strict=True):
            for slot, array in zip(found, slots[2 * place : 2 * place + 2], strict=True):
                np.testing.assert_array_equal(keras.ops.convert_to_numpy(slot), array)
                count += 1
    assert count == len(slots) == 2 * len(model.trainable_variables)
    if name.startswith("atinet"):
        assert len(parts) == 4
        assert model.distillation_share == (1 if name == "atinet_phase_2" else 0)


@pytest.mark.one_backend
@pytest.mark.parametrize("name", ["atinet_float16", "single"], indirect=True)
def test_float16_is_saved_and_loaded(name, file, tmp_path):
    """Whatever is saved now loads as it was; the scale of losses included."""
    model = keras.saving.load_model(file)
    if name == "single":
        model = keras_atinet.SingleTask("depth", (32, 32, 3), (2,) * 5, dtype="mixed_float16")
        model.compile("adam")
        model.build_optimizer()
    model.optimizer.dynamic_scale.assign(8.0)
    model.save(tmp_path / "again.keras")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Skipping variable loading")
        loaded = keras.saving.load_model(tmp_path / "again.keras")
    assert float(loaded.optimizer.dynamic_scale) == 8
    pairs = zip(model.optimizer.variables, loaded.optimizer.variables, strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, other)))
