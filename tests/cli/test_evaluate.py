import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from keras_atinet import SemanticSegmentation, evaluation, runs
from keras_atinet.data import Rooms
from keras_atinet.tasks import standardize_tasks

pytestmark = pytest.mark.backend_free


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file that stands for that of a model, in no run folder."""
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "")
    model = SimpleNamespace(tasks=standardize_tasks(["depth"]), input_shape=(None, 32, 32, 3))
    monkeypatch.setattr(runs, "load_model", lambda file: model)
    return tmp_path / "model.keras"


@pytest.fixture
def arrays(tmp_path):
    """A folder of MTAN arrays of 40 x 48 pixels: three to train, two to choose on, one to test."""
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for index, room in enumerate(Rooms(count, (40, 48))):
            for key, name in (("image", "image"), ("depth", "depth"), ("label", "segmentation")):
                folder = tmp_path / "arrays" / split / key
                folder.mkdir(parents=True, exist_ok=True)
                np.save(folder / f"{index}.npy", room[name])
    return tmp_path / "arrays"


def test_options_reach_the_evaluation(file, arrays, run_cli, monkeypatch, capsys):
    def record(model, batches, averaging, verbose, on_batch):
        images, targets = next(iter(batches))
        received.append((images.shape, targets["depth"].shape[1:3], averaging, verbose))
        return {"depth": {"loss": 0.5}}

    received = []
    monkeypatch.setattr(evaluation, "evaluate", record)
    evaluate = ["evaluate", "--model", file, "--data", arrays]
    assert run_cli(*evaluate, "--batch-size", 2, "--averaging", "batch", "--split", "train") == 0
    shown = capsys.readouterr().out
    assert "split 'train': 3 images\n" in shown and "0.5000" in shown
    assert "at 32 x 32, the network's size (--original-size: at the labels')\n" in shown
    assert run_cli(*evaluate, "--verbose", 2, "--original-size") == 0
    shown = capsys.readouterr().out
    assert "split 'test': 1 images\nat the size of the labels, to which" in shown
    assert received == [
        ((2, 32, 32, 3), (32, 32), "batch", 0),
        ((1, 32, 32, 3), (40, 48), None, 2),
    ]


def test_a_run_is_scored_on_its_own_test_images(
    file, arrays, run_cli, tmp_path, monkeypatch, capsys
):
    (tmp_path / "best.keras").write_bytes(file.read_bytes())
    monkeypatch.setattr(evaluation, "evaluate", lambda *arguments: {"depth": {"loss": 0.5}})

    def shown(splits, hold_out, *options):
        settings = {**runs.DEFAULT, "data": str(arrays), "splits": splits, "hold_out": hold_out}
        runs.Run(tmp_path).create(settings, "keras-atinet train")
        assert run_cli("evaluate", "--model", tmp_path, *options) == 0
        return capsys.readouterr().out.splitlines()[1].partition("arrays, ")[2]

    assert shown(["train", "val", "test"], 0) == "split 'test': 1 images"
    assert shown(["train", "val"], 0) == "split 'val': 2 images"
    assert shown(["train"], 0.3) == "held out of split 'train': 1 images"
    assert shown(["train"], 0.3, "--data", arrays) == "held out of split 'train': 1 images"
    assert shown(["train"], 0.3, "--split", "train") == "split 'train': 3 images"


def test_data_with_other_classes_are_refused(file, arrays, run_cli, monkeypatch, capsys):
    tasks = [SemanticSegmentation(5)]
    model = SimpleNamespace(tasks=tasks, input_shape=(None, 32, 32, 3))
    monkeypatch.setattr(runs, "load_model", lambda file: model)
    assert run_cli("evaluate", "--model", file, "--data", arrays) == 2
    error = capsys.readouterr().err
    assert "classes of 'segmentation', for a network of 5" in error and "num_classes=" not in error
    assert f"keras-atinet train --data {arrays}" in error and '"values" in dataset.json' in error


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
