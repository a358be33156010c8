"""A model or weights that cannot be written leave those that are there as they are."""

import errno
import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_atinet import DepthEstimation, files
from keras_atinet.models import MultiTaskModel

pytestmark = pytest.mark.one_backend


@keras.saving.register_keras_serializable(package="test_saving")
class Tiny(MultiTaskModel):
    def __init__(self, tasks, name=None, dtype=None):
        inputs = keras.Input((8, 8, 3), name="image")
        outputs = {"depth": keras.layers.Dense(1)(keras.layers.Dense(3000)(inputs))}
        super().__init__(inputs, outputs, tasks, {}, name=name, dtype=dtype)


@pytest.fixture(scope="module")
def model():
    return Tiny([DepthEstimation()])


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_is_there_outlasts_a_full_disk(model, limit_files, tmp_path):
    path = tmp_path / "best.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(path)
    checkpoint.set_model(model)
    checkpoint.on_epoch_end(0, {})
    before = contents(tmp_path)
    limit_files(10_000)
    for save in (model.save, lambda path: checkpoint.on_epoch_end(1, {})):
        with pytest.raises(OSError, match=re.escape(f"Not written: '{path}', about 0.1 MB")) as got:
            save(path)
        assert got.value.errno == errno.EFBIG and contents(tmp_path) == before


SAVES = {
    "a.keras": MultiTaskModel.save,
    "a.weights.h5": MultiTaskModel.save_weights,
    "folder": lambda model, path: model.save(path, zipped=False),
}


@pytest.mark.parametrize("name", SAVES)
def test_a_file_without_room_is_not_begun(name, model, tmp_path, monkeypatch):
    """HDF5 would crash the process."""
    path, save = tmp_path / name, SAVES[name]
    save(model, path)
    before = contents(tmp_path)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=20_000))
    with pytest.raises(OSError, match=r"about 0\.1 MB needed, 0\.0 MB left\. Make room"):
        save(model, path)
    assert contents(tmp_path) == before
    size = sum(len(content) for content in before.values())
    assert 0.5 * size < model._num_bytes() < 1.5 * size


def test_shards_and_questions_are_those_of_keras(model, tmp_path, monkeypatch):
    model.save_weights(tmp_path / "a.weights.json", max_shard_size=4e-5)
    assert len(list(tmp_path.iterdir())) > 2
    model.load_weights(tmp_path / "a.weights.json")
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "n")
    path = tmp_path / "a.keras"
    for _ in range(2):
        model.save(path, overwrite=False)
    (text,) = asked
    assert str(path) in text
    loaded = keras.saving.load_model(path)
    for new, old in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(new, old)
