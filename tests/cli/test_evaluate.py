import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from keras_atinet import evaluation, runs
from keras_atinet.data import Rooms
from keras_atinet.tasks import standardize_tasks

pytestmark = pytest.mark.backend_free


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file that stands for that of a model, in no run folder."""
    with zipfile.ZipFile(tmp_path / "model.keras", "w"):
        pass
    model = SimpleNamespace(tasks=standardize_tasks(["depth"]), input_shape=(None, 32, 32, 3))
    monkeypatch.setattr(runs, "load_model", lambda file: model)
    return tmp_path / "model.keras"


def test_options_reach_the_evaluation(file, run_cli, tmp_path, monkeypatch, capsys):
    def record(model, batches, averaging, verbose):
        images, _ = next(batches.as_numpy_iterator())
        received.append((images.shape, averaging, verbose))
        return {"depth": {"loss": 0.5}}

    received = []
    monkeypatch.setattr(evaluation, "evaluate", record)
    for split, count in (("train", 3), ("val", 1)):
        for index, room in enumerate(Rooms(count, (40, 48))):
            for key, name in (("image", "image"), ("depth", "depth"), ("label", "segmentation")):
                folder = tmp_path / "arrays" / split / key
                folder.mkdir(parents=True, exist_ok=True)
                np.save(folder / f"{index}.npy", room[name])
    evaluate = ["evaluate", "--model", file, "--data", tmp_path / "arrays"]
    assert run_cli(*evaluate, "--batch-size", 2, "--averaging", "batch", "--split", "train") == 0
    shown = capsys.readouterr().out
    assert "3 images, split 'train'" in shown and "0.5000" in shown
    assert run_cli(*evaluate, "--verbose", 2) == 0
    assert "1 images, split 'val'" in capsys.readouterr().out
    assert received == [((2, 32, 32, 3), "batch", 0), ((1, 32, 32, 3), None, 2)]


def test_a_file_of_results_is_json(file, run_cli, tmp_path, monkeypatch, capsys):
    nothing = {"depth": {"loss": float("nan"), "rmse": float("nan")}}
    monkeypatch.setattr(evaluation, "evaluate", lambda *arguments: nothing)
    out = tmp_path / "scores.json"
    assert run_cli("evaluate", "--model", file, "--data", "rooms", "--json", out) == 0
    assert "-: the data have no labels of depth" in capsys.readouterr().out
    assert json.loads(out.read_text(), parse_constant=pytest.fail)["results"] == {
        "depth": {"loss": None, "rmse": None}
    }


def test_the_data_must_be_known(file, run_cli, tmp_path, capsys):
    assert run_cli("evaluate", "--model", file) == 2
    assert "--data rooms" in capsys.readouterr().err
    assert run_cli("evaluate", "--model", file, "--data", tmp_path) == 2
    assert "no data that is known" in capsys.readouterr().err
