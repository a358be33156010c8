import os

import keras
import numpy as np
import pytest

from keras_atinet.data import Rooms, hold_out
from keras_atinet.runs.recording import (
    Backup,
    History,
    TrainingTime,
    read_rows,
    write_rows,
)

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


def compiled_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def fit(model, callbacks, first=0, epochs=2):
    model.fit(X, Y, epochs=epochs, initial_epoch=first, verbose=0, callbacks=callbacks)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_is_that_of_the_last_complete_epoch(tmp_path):
    backup, model = Backup(tmp_path / "backup"), compiled_model()
    assert backup.restore(model) == backup.epochs() == 0
    fit(model, [backup], epochs=3)
    assert names(backup.folder) == ["epoch-00002.keras", "epoch-00003.keras"]
    # As after a kill in the middle of writing.
    (backup.folder / "epoch-00004.keras.x.part").mkdir()
    (backup.folder / "epoch-00004.keras.x.part" / "epoch-00004.keras").touch()

    other = compiled_model()
    assert backup.restore(other) == backup.epochs() == 3
    for new, old in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(new, old)
    assert int(other.optimizer.iterations) == 3
    (backup.folder / "notes.txt").touch()
    backup.discard()
    assert names(backup.folder) == ["notes.txt"]
    (backup.folder / "notes.txt").unlink()
    backup.discard()
    assert not backup.folder.exists()
    backup.discard()


@pytest.mark.parametrize("system", ["links", "copies"])
def test_a_file_that_is_saved_anyway_is_the_backup(system, tmp_path, monkeypatch):
    def refuse(*paths):
        raise PermissionError("no hard links here")

    if system == "copies":
        monkeypatch.setattr(os, "link", refuse)
    last, model = tmp_path / "last.keras", compiled_model()
    backup = Backup(tmp_path / "backup", last)
    fit(model, [keras.callbacks.ModelCheckpoint(last), backup])
    newest = backup.folder / "epoch-00002.keras"
    assert newest.samefile(last) == (system == "links")
    assert newest.read_bytes() == last.read_bytes()
    other = compiled_model()
    assert backup.restore(other) == 2 and int(other.optimizer.iterations) == 2


def test_a_damaged_state_falls_back_to_the_one_before(tmp_path):
    backup, model, lines = Backup(tmp_path), compiled_model(), []
    fit(model, [backup], epochs=2)
    one = tmp_path / "epoch-00001.keras"
    for damage in (b"", b"garbage", one.read_bytes()[:-100], one.read_bytes().replace(b"\0", b"1")):
        (tmp_path / "epoch-00002.keras").write_bytes(damage)
        other = compiled_model()
        assert backup.restore(other, lines.append) == 1 == int(other.optimizer.iterations)
        told, resumes = lines
        assert "The state after epoch 2 is damaged: " in told and "after epoch 1." in resumes
        lines.clear()
    fit(other, [backup], first=1, epochs=2)
    assert backup.restore(compiled_model(), lines.append) == 2 and not lines
    for path in tmp_path.iterdir():
        path.write_bytes(b"garbage")
    with pytest.raises(ValueError, match="all are damaged") as raised:
        backup.restore(compiled_model(), lines.append)
    assert str(tmp_path) in str(raised.value) and len(lines) == 2


def test_a_state_of_another_network_is_told(tmp_path):
    backup = Backup(tmp_path)
    fit(compiled_model(), [backup], epochs=1)
    other = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    other.compile("adam", "mse")
    with pytest.raises(ValueError, match="does not fit the network that the settings describe"):
        backup.restore(other)


def test_a_state_from_before_is_restored(tmp_path):
    """States were files of weights."""
    backup, model = Backup(tmp_path), compiled_model()
    fit(model, [], epochs=4)
    model.save_weights(tmp_path / "epoch-00004.weights.h5")
    other = compiled_model()
    assert backup.restore(other) == 4 == int(other.optimizer.iterations)
    fit(other, [backup], first=4, epochs=6)
    assert names(tmp_path) == ["epoch-00005.keras", "epoch-00006.keras"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "epoch,loss\n0,1.5\n1",
        "epoch,loss\n0,1.5\n1,a\n",
        "epoch,loss\n1,1.5\n0,1.4\n",
        "epoch,loss\n0,1.5,2\n",
        "\0\0\0",
        "\udcff\udcfe",
    ],
)
def test_a_damaged_history_is_told(content, tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match="A table of epochs is damaged") as raised:
        read_rows(path)
    path.unlink()
    for target in ("nowhere", path.name, "."):
        path.symlink_to(target)
        with pytest.raises(ValueError, match="table of epochs is damaged"):
            read_rows(path)
        path.unlink()
    assert str(path) in str(raised.value)
    assert "NoneType" not in str(raised.value)


def test_the_history_of_an_epoch_that_is_trained_again_is_replaced(tmp_path):
    path = tmp_path / "history.csv"
    write_rows(path, [{"epoch": epoch, "loss": 9.5} for epoch in range(3)])
    fit(compiled_model(), [TrainingTime(), History(path)], first=1)
    rows = read_rows(path)
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert rows[0]["loss"] == "9.5" and rows[1]["loss"] != "9.5"
    assert rows[0]["seconds"] == "" and float(rows[1]["seconds"]) >= 0
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("count", "expected"), [(795, 80), (20, 2), (2, 1)])
def test_neighbours_are_held_out_together(count, expected):
    rest, held_out = hold_out(Rooms(count), 0.1)
    assert sorted([*rest.indices, *held_out.indices]) == list(range(count))
    assert len(held_out) == expected
    gaps = np.diff(held_out.indices)
    assert np.sum(gaps > 1) == min(expected, 10) - 1
    np.testing.assert_array_equal(held_out[0]["depth"], Rooms(count)[held_out.indices[0]]["depth"])


def test_there_must_be_something_to_learn_from():
    with pytest.raises(ValueError, match="at least two samples"):
        hold_out(Rooms(1), 0.1)
    with pytest.raises(ValueError, match="share=1"):
        hold_out(Rooms(4), 1)
