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


def test_a_backup_is_that_of_the_last_complete_epoch(tmp_path):
    backup, model = Backup(tmp_path / "backup"), compiled_model()
    assert backup.restore(model) == backup.epochs() == 0
    fit(model, [backup], epochs=3)
    assert [file.name for file in backup.folder.iterdir()] == ["epoch-00003.weights.h5"]
    # As after a kill in the middle of writing.
    (backup.folder / "epoch-00004.weights.h5.x.part").mkdir()
    (backup.folder / "epoch-00004.weights.h5.x.part" / "epoch-00004.weights.h5").touch()

    other = compiled_model()
    assert backup.restore(other) == backup.epochs() == 3
    for new, old in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(new, old)
    assert int(other.optimizer.iterations) == 3
    backup.discard()
    assert not backup.folder.exists()
    backup.discard()


def test_of_two_backups_the_newer_one_counts(tmp_path):
    backup, model = Backup(tmp_path), compiled_model()
    fit(model, [backup])
    # As after a kill between writing the new one and removing the old one.
    (tmp_path / "epoch-00001.weights.h5").write_bytes(b"old")
    assert backup.restore(compiled_model()) == 2
    fit(model, [backup], first=2, epochs=3)
    assert [file.name for file in tmp_path.iterdir()] == ["epoch-00003.weights.h5"]


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
