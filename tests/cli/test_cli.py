import csv
import json
import os
import signal
import sys

import keras
import numpy as np
import pytest

from keras_atinet import SemanticSegmentation, cli, evaluation, runs
from keras_atinet.cli import commands
from keras_atinet.data import Rooms

pytest.importorskip("tensorflow")
pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

TINY = ["--image-size", 32, 32, "--filters", *[4] * 5, "--no-augment", "--verbose", 0]
# One batch an epoch, so that the order of the samples does not matter.
ROOMS = [*TINY, "--num-samples", 4]
TASKS = ("segmentation", "depth", "normal")


def run_cli(*arguments):
    return cli.main([str(argument) for argument in arguments])


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def losses(folder):
    return np.array([float(row["val_loss"]) for row in history(folder)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small data folder, as `keras_atinet.data.Folder` reads it."""
    path = tmp_path_factory.mktemp("data") / "rooms13"
    for split in ("train", "test"):
        for index, sample in enumerate(Rooms(3, (40, 48), split)):
            pictures = {
                "image": Image.fromarray((sample["image"] * 255).astype("uint8")),
                "label13": Image.fromarray(sample["segmentation"].astype("uint8")),
                "depth": Image.fromarray((sample["depth"][..., 0] * 1000).astype("uint16")),
                "normal": Image.fromarray(((sample["normal"] + 1) * 127.5).round().astype("uint8")),
            }
            for key, picture in pictures.items():
                (path / split / key).mkdir(parents=True, exist_ok=True)
                picture.save(path / split / key / f"{index}.png")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    assert run_cli("train", "--model", "split", "--epochs", 4, "--out", path, *ROOMS) == 0
    return path


def test_data_of_another_form_bring_their_own_splits(tmp_path, capsys):
    for split in ("train", "val"):
        for index, room in enumerate(Rooms(2, (32, 32), split)):
            for key, name in (("image", "image"), ("depth", "depth"), ("label", "segmentation")):
                (tmp_path / "arrays" / split / key).mkdir(parents=True, exist_ok=True)
                np.save(tmp_path / "arrays" / split / key / f"{index}.npy", room[name])
    options = ["--model", "split", "--tasks", "depth", "--epochs", 1, *TINY]
    out = tmp_path / "run"
    assert run_cli("train", "--data", tmp_path / "arrays", *options, "--out", out) == 0
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["splits"] == ["train", "val"]
    capsys.readouterr()
    assert run_cli("evaluate", "--model", out, "--data", tmp_path / "arrays") == 0
    assert "2 images, split 'val'" in capsys.readouterr().out
    one = tmp_path / "arrays" / "train"
    one.rename(tmp_path / "train")
    assert run_cli("train", "--data", tmp_path / "arrays", *options) == 2
    assert "one to hold out" in capsys.readouterr().err


def test_train_writes_a_run_folder(run):
    assert sorted(file.name for file in run.iterdir()) == [
        "best.keras",
        "config.json",
        "history.csv",
        "last.keras",
        "predictions.png",
    ]
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["model"] == "split"
    assert config["settings"]["filters"] == [4] * 5
    assert set(config["settings"]) == set(runs.DEFAULT)
    assert config["versions"]["backend"] == keras.backend.backend()
    assert config["command"].startswith("keras-atinet train --model split")
    rates = [float(row["learning_rate"]) for row in history(run)]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 5e-4, 5e-4], rtol=1e-5)


def test_an_interrupted_run_resumes_as_if_it_had_not_been(run, tmp_path, monkeypatch, capsys):
    path = tmp_path / "interrupted"

    def with_ctrl_c(*arguments):
        def stop(epoch, logs=None):
            if epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

        stopper = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
        return [*get_callbacks(*arguments), stopper]

    get_callbacks = runs.get_callbacks
    monkeypatch.setattr(runs, "get_callbacks", with_ctrl_c)
    handler = signal.getsignal(signal.SIGINT)
    assert run_cli("train", "--model", "split", "--epochs", 4, "--out", path, *ROOMS) == 130
    assert signal.getsignal(signal.SIGINT) is handler
    assert f"--resume {path}" in capsys.readouterr().out
    assert [row["epoch"] for row in history(path)] == ["0", "1"]
    assert (path / "best.keras").exists()
    assert (path / "predictions.png").exists()
    # As after a kill between the row of an epoch and its backup.
    text = (path / "history.csv").read_text()
    last_row = text.splitlines()[-1]
    (path / "history.csv").write_text(text + "2" + last_row[1:] + "\n")

    monkeypatch.undo()
    assert run_cli("train", "--resume", path, "--verbose", 0) == 0
    assert [row["epoch"] for row in history(path)] == ["0", "1", "2", "3"]
    np.testing.assert_allclose(losses(path), losses(run), rtol=1e-3)
    weights = [float(row["depth_weight"]) for row in history(path)]
    np.testing.assert_allclose(weights, [float(r["depth_weight"]) for r in history(run)], rtol=1e-3)

    capsys.readouterr()
    assert run_cli("train", "--resume", path) == 0
    assert "is finished: 4 epochs" in capsys.readouterr().out
    assert len(history(path)) == 4


def test_the_best_model_survives_a_resume(run):
    assert runs.Run(run).best_loss() == losses(run).min()
    model = keras.saving.load_model(run / "best.keras")
    callbacks = runs.get_callbacks(runs.Run(run), runs.DEFAULT, model)
    (best,) = [callback for callback in callbacks if getattr(callback, "save_best_only", False)]
    assert best.best == losses(run).min()


def test_a_broken_best_model_is_not_the_best(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,val_loss\n0,1.5\n")
    (tmp_path / "best.keras").write_bytes(b"PK\3\4 cut short")
    assert runs.Run(tmp_path).best_loss() is None


def test_atinet_trains_on_a_folder_and_switches_phase(folder, tmp_path, capsys):
    path = tmp_path / "atinet"
    arguments = ("--tasks", "segmentation", "normal", "--switch-at", 0.5, "--epochs", 2, "--out")
    assert run_cli("train", "--data", folder, *arguments, path, *TINY) == 0
    assert "3 training and 3 held-out images" in capsys.readouterr().out
    assert run_cli("info", path / "last.keras") == 0
    shown = capsys.readouterr().out
    assert "segmentation (13), normal (3)" in shown
    assert "2 (distilled)" in shown
    assert "DynamicWeightAverage" in shown and "Adam" in shown and "Grouped" not in shown


def test_evaluate_a_run(run, tmp_path, capsys):
    file = tmp_path / "new" / "numbers.json"
    assert run_cli("evaluate", "--model", run, "--baseline", "--json", file) == 0
    assert "mean_iou" in capsys.readouterr().out
    numbers = json.loads(file.read_text())
    assert tuple(numbers["results"]) == tuple(numbers["constant"]) == TASKS
    best = min(history(run), key=lambda row: float(row["val_loss"]))
    for task, values in numbers["results"].items():
        assert set(values) == set(numbers["constant"][task])
        for name, value in values.items():
            assert value == pytest.approx(float(best[f"val_{task}_{name}"]), rel=1e-3, abs=1e-4)


def test_evaluate_a_file_on_a_folder(run, folder, tmp_path, capsys):
    file = tmp_path / "copy.keras"
    file.write_bytes((run / "last.keras").read_bytes())
    assert run_cli("evaluate", "--model", file) == 2
    assert "--data" in capsys.readouterr().err
    arguments = ("--split", "train", "--averaging", "batch", "--batch-size", 2)
    assert run_cli("evaluate", "--model", file, "--data", folder, *arguments) == 0
    assert "3 images, split 'train'" in capsys.readouterr().out


def test_the_constants_fit_the_samples(folder):
    source = runs.open_split({**runs.DEFAULT, "data": str(folder)}, "train")
    tasks = runs.source_tasks(source)
    batches = runs.get_batches(source, tasks, (40, 48), 2)
    constants = evaluation.best_constants(tasks, batches)
    depth = np.concatenate([sample["depth"].ravel() for sample in source])
    assert constants["depth"] == pytest.approx(np.median(depth), rel=0.05)
    results = evaluation.evaluate_constants(tasks, constants, batches)
    expected = np.mean(np.abs(depth - constants["depth"]))
    assert results["depth"]["abs_error"] == pytest.approx(expected, rel=1e-4)
    labels = np.concatenate([sample["segmentation"].ravel() for sample in source])
    share = np.mean(labels == constants["segmentation"].argmax())
    assert results["segmentation"]["pixel_accuracy"] == pytest.approx(share, rel=1e-4)


def test_a_task_without_any_label_has_no_constant():
    class Unlabelled(Rooms):
        def __getitem__(self, index):
            return {"image": super().__getitem__(index)["image"]}

    tasks = runs.source_tasks(Rooms())
    batches = runs.get_batches(Unlabelled(2, (32, 32)), tasks, (32, 32), 2)
    assert evaluation.best_constants(tasks, batches) == {}
    assert evaluation.evaluate_constants(tasks, {}, batches) == {}


def test_predict_any_picture(run, tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (50, 70, 4)).astype("uint8")
    (tmp_path / "b").mkdir()
    paths = [tmp_path / "a.png", tmp_path / "a.jpg", tmp_path / "b" / "a.gif"]
    Image.fromarray(pixels).save(paths[0])
    Image.fromarray(pixels[..., 0]).save(paths[1])
    Image.fromarray(pixels[..., 0]).convert("P").save(paths[2])
    out = tmp_path / "out"
    assert run_cli("predict", *paths, "--model", run, "--out", out) == 0
    expected = {f"{name}_{task}.png" for name in ("a", "a-2", "a-3") for task in TASKS}
    expected |= {"a.npz", "a-2.npz", "a-3.npz"}
    assert {file.name for file in out.iterdir()} == expected
    arrays = np.load(out / "a.npz")
    assert arrays["segmentation"].dtype == np.int32
    assert arrays["segmentation"].shape == (32, 32)
    assert arrays["depth"].shape == (32, 32, 1)
    np.testing.assert_allclose(np.linalg.norm(arrays["normal"], axis=-1), 1, atol=1e-3)
    picture = np.asarray(Image.open(out / "a_segmentation.png"))
    assert picture.shape == (50, 70, 3)
    # Nearest: no colour but those of the classes.
    colors = {tuple(color) for color in SemanticSegmentation().class_colors}
    assert {tuple(color) for color in picture.reshape(-1, 3).tolist()} <= colors


def test_predict_turns_photos_upright(tmp_path):
    pixels = np.zeros((4, 8, 3), "uint8")
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    upright = commands._read_picture(tmp_path / "turned.png")
    assert upright.shape == (8, 4, 3)
    assert upright[:4].min() == 1 and upright[4:].max() == 0


def test_info_without_a_model(capsys):
    assert run_cli("info") == 0
    shown = capsys.readouterr().out
    assert keras.version() in shown and keras.backend.backend() in shown
    for parameters in ("45,716,497", "44,229,073", "45,938,641", "50,807,761", "24,981,069"):
        assert parameters in shown


def test_explicit_options_win_over_the_recipe():
    arguments = cli._parser().parse_args(
        ["train", "--recipe", "paper", "--epochs", "3", "--augment"]
    )
    explicit = {key: value for key, value in vars(arguments).items() if key in runs.DEFAULT}
    assert explicit == {"epochs": 3, "augment": True}
    assert runs.PAPER["deep_split"] and not runs.PAPER["augment"]


def test_run_folders_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(commands._new_folder(runs.DEFAULT)) == os.path.join("runs", "atinet-rooms-1")
    (tmp_path / "runs" / "atinet-rooms-1").mkdir(parents=True)
    assert str(commands._new_folder(runs.DEFAULT)) == os.path.join("runs", "atinet-rooms-2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --out {tmp}", "must be a new or an empty folder"),
        ("train --resume {tmp}", "config.json"),
        ("train --resume {run} --epochs 9", "`--resume` takes all settings from the run"),
        ("train --data {tmp}/none --out {tmp}/new", "none"),
        ("train --tasks depht --out {tmp}/new", "Received: 'depht'"),
        ("train --model single --tasks depth normal --out {tmp}/new", "`SingleTask` learns one"),
        ("train --image-size 33 32 --out {tmp}/new", "divisible by 32"),
        ("train --switch-at 2 --out {tmp}/new --image-size 32 32 --filters 4 4 4 4 4", "`at`"),
        ("train --data {tmp} --num-samples 4 --out {tmp}/new", "the number of rooms"),
        ("reproduce table1 --data {tmp} --num-samples 4 --out {tmp}/new", "the number of rooms"),
        ("search --data {tmp} --num-samples 4 --out {tmp}/new", "the number of rooms"),
        ("train --model split --remat attention --out {tmp}/new", "atinet and mtan"),
        ("evaluate --model {tmp}", "at least one epoch"),
        ("evaluate --model {tmp}/file.txt", "complete .keras file"),
        ("evaluate --model {tmp}/broken.keras", "complete .keras file"),
        ("evaluate --model {run} --data {tmp}", "no data that is known"),
        ("predict {tmp}/none.png --model {run} --out {tmp}/new", "none.png"),
        ("predict {tmp}/file.txt --model {run} --out {tmp}/new", "file.txt"),
        ("info {tmp}/other.keras", "must be one of `keras_atinet`"),
    ],
)
def test_errors_are_one_line(arguments, message, run, tmp_path, capsys):
    (tmp_path / "file.txt").write_text("no picture")
    (tmp_path / "broken.keras").write_bytes(b"PK\3\4 cut short")
    if "other" in arguments:
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    assert run_cli(*arguments.format(tmp=tmp_path, run=run).split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("keras-atinet: error: ") and message in error
    assert "Traceback" not in error
    assert not (tmp_path / "new" / "config.json").exists()


@pytest.mark.parametrize("arguments", ["", "train --epochs 0", "train --model vgg", "fly"])
def test_wrong_options_exit_with_2(arguments):
    with pytest.raises(SystemExit) as error:
        run_cli(*arguments.split())
    assert error.value.code == 2


def test_debug_and_bugs_show_the_traceback(run, tmp_path, monkeypatch):
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(ValueError):
        run_cli("evaluate", "--model", tmp_path / "file.txt", "--debug")
    monkeypatch.setattr(commands, "load_model", lambda file: int("no check of this package"))
    with pytest.raises(ValueError, match="invalid literal"):
        run_cli("info", run)


def test_another_backend_needs_a_new_process(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments))
    monkeypatch.setattr(commands, "info", lambda arguments, argv: 0)
    other = "jax" if keras.backend.backend() != "jax" else "torch"
    run_cli("info", "--backend", other)
    ((program, command, environment),) = started
    assert program == sys.executable
    assert command[1:] == ["-m", "keras_atinet", "info", "--backend", other]
    assert environment["KERAS_BACKEND"] == other
    run_cli("info", "--backend", keras.backend.backend())
    assert len(started) == 1
