import json
import os
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from keras_atinet import evaluation, runs
from keras_atinet.cli import train
from keras_atinet.data import Rooms
from keras_atinet.tasks import standardize_tasks

pytestmark = pytest.mark.backend_free


class Received(Exception):
    """Raised instead of training, with what training would get."""


@pytest.fixture
def settings(run_cli, monkeypatch, tmp_path):
    """The settings that `keras-atinet train` would train with."""

    def stop(folder, settings, command, verbose):
        raise Received(settings)

    def settings(*arguments):
        with pytest.raises(Received) as received:
            run_cli("train", *arguments)
        return received.value.args[0]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "train", stop)
    return settings


def test_explicit_options_win_over_the_recipe(settings):
    assert settings() == runs.DEFAULT
    assert settings("--recipe", "paper") == runs.PAPER
    assert runs.PAPER["deep_split"] and runs.PAPER["augment"] == "none"
    expected = {**runs.PAPER, "epochs": 3, "augment": "full", "image_size": [32, 64]}
    expected["class_weights"] = "balanced"
    options = [
        "--epochs",
        3,
        "--augment",
        "full",
        "--image-size",
        32,
        64,
        "--class-weights",
        "balanced",
    ]
    assert settings("--recipe", "paper", *options) == expected


def test_options_of_training(settings, run_cli, tmp_path, capsys):
    (tmp_path / "first").mkdir()
    with zipfile.ZipFile(tmp_path / "first" / "best.keras", "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "")
    options = "--schedule cosine --warmup 2 --weight-decay 0.01 --accumulate 4 --patience 3 "
    options += "--deterministic --tensorboard --weights first --no-augment"
    expected = {"schedule": "cosine", "warmup": 2, "weight_decay": 0.01, "accumulate": 4}
    expected |= {"patience": 3, "deterministic": True, "tensorboard": True, "augment": "none"}
    expected["weights"] = str(tmp_path / "first")
    found = settings(*options.split())
    assert {key: value for key, value in found.items() if value != runs.DEFAULT[key]} == expected
    assert run_cli("train", "--weights", "none") == 2
    assert "Received: 'none'. Name a .keras file" in capsys.readouterr().err


def test_options_of_the_encoder(settings, run_cli, tmp_path, capsys):
    def found(*options):
        found = settings(*options)
        return {key: value for key, value in found.items() if value != runs.DEFAULT[key]}

    options = ["--model", "split", "--encoder", "resnet50", "--epochs", 9]
    named = {"model": "split", "encoder": "resnet50", "epochs": 9}
    assert found(*options) == named
    more = "--encoder-weights imagenet --decoder segformer --decoder-filters 8 --encoder-lr 0.1"
    expected = {"encoder_weights": "imagenet", "decoder": "segformer", "decoder_filters": [8]}
    assert found(*options, *more.split()) == {**named, **expected, "encoder_lr": 0.1}
    assert found(*options, "--freeze-encoder", 3) == {**named, "freeze_encoder": 3}
    assert found(*options, "--freeze-encoder") == {**named, "freeze_encoder": 9}
    (tmp_path / "own.keras").touch()
    own = found("--encoder", "own.keras")
    assert own == {"encoder": str(tmp_path / "own.keras")}
    recipe = settings("--recipe", "pretrained", "--encoder-weights", "none")
    assert recipe == {**runs.RECIPES["pretrained"], "encoder_weights": None}

    for wrong, message in (
        (["--encoder-weights", "imagenet"], "`encoder_weights` is for networks with an `encoder`"),
        (
            ["--encoder", "resnet50", "--decoder", "unet"],
            "`decoder` is for the models split, single",
        ),
        ([*options, "--freeze-encoder", 9, "--encoder-lr", 0.1], "frozen in all epochs"),
        (["--encoder", "own.keras", "--encoder-weights", "imagenet"], "a file has its own"),
        (["--encoder", "resnet5"], "Near: resnet50"),
        (["--encoder", "resnet50", "--encoder-weights", "own.h5"], "no file of weights"),
        (["--encoder", "other.keras"], "no such `encoder`"),
        (["--model", "split", "--remat", "attention"], "`remat` is for the models atinet and"),
    ):
        assert run_cli("train", *wrong) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_cli("train", *options, "--encoder-lr", "5e-5")
    assert "a factor, 0.001 or more" in capsys.readouterr().err


def test_the_data_tells_the_splits(settings, run_cli, tmp_path, capsys):
    for split in ("train", "val", "test"):
        for key, name in (("image", "image"), ("depth", "depth"), ("label", "segmentation")):
            (tmp_path / "arrays" / split / key).mkdir(parents=True)
            np.save(tmp_path / "arrays" / split / key / "0.npy", Rooms(1, (32, 32))[0][name])

    def found(*options):
        found = settings("--data", "arrays", *options)
        assert found["data"] == str(tmp_path / "arrays")
        return found["splits"], found["hold_out"]

    assert found() == (["train", "val", "test"], 0)
    assert found("--hold-out", 0.2) == (["train", "test"], 0.2)
    assert found("--splits", "val", "train") == (["val", "train"], 0.1)
    assert found("--splits", "val", "--hold-out", 0.5) == (["val"], 0.5)
    assert found("--splits", "test", "val") == (["test", "val"], 0)
    (tmp_path / "arrays" / "val").rename(tmp_path / "val")
    assert found() == (["train", "test"], 0.1)
    assert found("--hold-out", 0) == found("--recipe", "paper") == (["train", "test"], 0)
    (tmp_path / "arrays" / "test").rename(tmp_path / "arrays" / "val")
    assert found() == (["train", "val"], 0)
    (tmp_path / "arrays" / "val").rename(tmp_path / "test")
    assert found() == (["train"], 0.1)
    with pytest.raises(SystemExit):
        run_cli("train", "--hold-out", 1)
    assert "a share from 0 on, below 1" in capsys.readouterr().err


def test_a_split_is_left_to_choose_the_best_epoch_on(run_cli, tmp_path, capsys):
    options = ["--out", tmp_path / "run", "--num-samples", 4]
    assert run_cli("train", *options, "--splits", "train", "--hold-out", 0) == 2
    assert "Received: splits=['train'], hold_out=0.0" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_keeps_its_settings(settings, run_cli, tmp_path, capsys):
    settings_before = {**runs.DEFAULT, "epochs": 5, "tasks": ["depth"]}
    runs.Run(tmp_path / "run").create(settings_before, "keras-atinet train")
    assert settings("--resume", "run") == settings_before
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    del config["settings"]["class_weights"]  # as runs from before
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert settings("--resume", "run") == settings_before
    assert run_cli("train", "--resume", "run", "--hold-out", 0, "--recipe", "paper") == 2
    error = capsys.readouterr().err
    assert "`--resume` takes all settings but `--on-nonfinite`" in error
    assert "Received: --hold-out --recipe." in error
    assert run_cli("train", "--out", "run") == 2
    assert "or go on with this run: --resume run" in capsys.readouterr().err
    # Folders from before the option do not have it; once changed, it stays.
    del settings_before["on_nonfinite"]
    runs.Run(tmp_path / "run").create(settings_before, "keras-atinet train")
    assert settings("--resume", "run") == {**settings_before, "on_nonfinite": "raise"}
    for options in (["--on-nonfinite", "skip"], []):
        expected = {**settings_before, "on_nonfinite": "skip"}
        assert settings("--resume", "run", *options) == expected


@pytest.mark.parametrize(
    ("backend", "message"), [("jax", "needs the backend 'jax'"), ("vax", "Received: 'vax'")]
)
def test_a_resumed_run_keeps_its_backend(backend, message, run_cli, tmp_path, capsys):
    runs.Run(tmp_path).create(runs.DEFAULT, "keras-atinet train")
    config = json.loads((tmp_path / "config.json").read_text())
    config["versions"]["backend"] = backend
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert run_cli("train", "--resume", tmp_path) == 2
    assert message in capsys.readouterr().err


def test_run_folders_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(train.new_folder(runs.DEFAULT)) == os.path.join("runs", "atinet-rooms-1")
    (tmp_path / "runs" / "atinet-rooms-1").mkdir(parents=True)
    assert str(train.new_folder(runs.DEFAULT)) == os.path.join("runs", "atinet-rooms-2")


def test_a_finished_run_is_not_trained_again(settings, run_cli, monkeypatch, capsys):
    run = runs.Run("run")
    run.create({**runs.DEFAULT, "epochs": 2}, "keras-atinet train")
    run.history.write_text("epoch,val_loss\n0,1.5\n1,1.4\n")
    # As after a kill between the last row and the end.
    run.backup.folder.mkdir()
    for unfinished in (run.path / "config.json.7.part", run.path / "history.csv.part"):
        unfinished.touch()
    shown = []
    monkeypatch.setattr(train, "print_scores", lambda folder, settings: shown.append(folder.path))
    assert run_cli("train", "--resume", "run") == 0
    assert "The run run is finished: 2 epochs." in capsys.readouterr().out
    assert shown == [run.path]
    assert {path.name for path in run.path.iterdir()} == {"config.json", "history.csv"}


def test_a_folder_in_which_nothing_began_is_empty(settings, tmp_path):
    """As after a kill while `config.json` is written."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "config.json.7.part").touch()
    assert settings("--out", "new") == runs.DEFAULT


def test_the_scores_tell_of_images_that_the_epoch_was_chosen_on(tmp_path, monkeypatch, capsys):
    model = SimpleNamespace(tasks=standardize_tasks(["depth"]))
    results = {"depth": {"loss": 0.5}}
    monkeypatch.setattr(runs, "find_model", lambda path: (path, None))
    monkeypatch.setattr(runs, "load_model", lambda file: model)
    monkeypatch.setattr(runs.Run, "best_value", lambda run: 0.5)
    monkeypatch.setattr(evaluation, "evaluate", lambda *arguments, **options: results)
    monkeypatch.setattr(runs, "constant_baseline", lambda *arguments: results)
    monkeypatch.setattr(train, "_draw", lambda folder, model, settings: None)

    def shown(splits, hold_out):
        settings = {**runs.DEFAULT, "num_samples": 40, "splits": splits, "hold_out": hold_out}
        train.print_scores(runs.Run(tmp_path), settings)
        shown = capsys.readouterr().out
        return shown.splitlines()[1], "The epoch was chosen on these images" in shown

    title = "The best model and the best constant on "
    assert shown(["train", "test"], 0.1) == (f"{title}10 images (split 'test'):", False)
    assert shown(["train", "test"], 0) == (f"{title}10 images (split 'test'):", True)
    assert shown(["train"], 0.1) == (f"{title}4 images (held out of split 'train'):", True)
