"""One run, from training to the exported file."""

import csv
import functools
import json
import os
import re
import shutil
import signal

import keras
import numpy as np
import pytest

from keras_atinet import SemanticSegmentation, evaluation, exporting, runs, stopping
from keras_atinet.data import Rooms
from keras_atinet.runs.text_table import number

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

# One batch an epoch, so that the order of the samples does not matter.
OPTIONS = ["--model", "split", "--epochs", 4, "--num-samples", 8, "--no-augment", "--verbose", 0]
OPTIONS += ["--image-size", 32, 32, "--filters", *[4] * 5]
TASKS = ("segmentation", "depth", "normal")


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(folder, name):
    return np.array([float(row[name]) for row in history(folder)])


@pytest.fixture(scope="module")
def run(run_cli, small_encoder, tmp_path_factory):
    """A finished run; not on a SegNet on JAX, which compiles one for long."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    encoder = ["--encoder", small_encoder] if keras.backend.backend() == "jax" else []
    assert run_cli("train", "--out", path, *OPTIONS, *encoder) == 0
    return path


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
    assert config["command"].startswith("keras-atinet train --out")
    np.testing.assert_allclose(column(run, "learning_rate"), [1e-3, 1e-3, 5e-4, 5e-4], rtol=1e-5)


@pytest.mark.one_backend
def test_an_interrupted_run_resumes_as_if_it_had_not_been(
    run, run_cli, tmp_path, monkeypatch, capsys
):
    def stop(epoch, logs=None):
        if epoch == 2:
            os.kill(os.getpid(), number)

    path = tmp_path / "interrupted"
    stopper = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
    monkeypatch.setattr(runs, "train", functools.partial(runs.train, callbacks=[stopper]))
    number, handlers = signal.SIGINT, [signal.getsignal(n) for n in stopping.SIGNALS]
    assert run_cli("train", "--out", path, *OPTIONS) == 130
    number = signal.SIGTERM
    assert run_cli("train", "--resume", path, "--verbose", 0) == 143
    assert [signal.getsignal(n) for n in stopping.SIGNALS] == handlers
    shown = capsys.readouterr().out
    assert "7 training images, 1 held out to choose the best epoch, 2 ('test') to score" in shown
    assert shown.count(f"--resume {path}") == 2
    assert [row["epoch"] for row in history(path)] == ["0", "1"]
    assert (path / "best.keras").exists()
    assert (path / "predictions.png").exists()
    assert run_cli("info", path / "last.keras") == 0
    shown = capsys.readouterr().out
    assert "2 of 4" in shown and f"keras-atinet train --resume {path}" in shown
    # As after a kill between the row of an epoch and its backup.
    text = (path / "history.csv").read_text()
    last_row = text.splitlines()[-1]
    (path / "history.csv").write_text(text + "2" + last_row[1:] + "\n")

    monkeypatch.undo()
    assert run_cli("train", "--resume", path, "--verbose", 0) == 0
    assert [row["epoch"] for row in history(path)] == ["0", "1", "2", "3"]
    for name in ("val_loss", "depth_weight"):
        np.testing.assert_allclose(column(path, name), column(run, name), rtol=1e-3)


@pytest.mark.one_backend
def test_a_run_that_meets_nan_can_be_used(run, run_cli, tmp_path, monkeypatch, capsys):
    class Harm(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                self.model.weights[0].assign(keras.ops.full(self.model.weights[0].shape, np.nan))

    path = tmp_path / "stopped"
    monkeypatch.setattr(runs, "train", functools.partial(runs.train, callbacks=[Harm()]))
    assert run_cli("train", "--out", path, *OPTIONS) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("keras-atinet: error: The loss of ") and "step 1 of epoch 3" in error
    command = f"keras-atinet train --resume {path} --on-nonfinite skip"
    assert f"state after epoch 2; go on without such steps: {command}" in error
    assert [row["epoch"] for row in history(path)] == ["0", "1"]
    monkeypatch.undo()
    assert run_cli("evaluate", "--model", path) == 0
    assert run_cli("train", "--resume", path, "--on-nonfinite", "skip", "--verbose", 0) == 0
    np.testing.assert_allclose(column(path, "val_loss"), column(run, "val_loss"), rtol=1e-3)
    assert [row["skipped_steps"] for row in history(path)] == ["", "", "0.0", "0.0"]
    # Of a finished run nothing changes.
    assert run_cli("train", "--resume", path, "--on-nonfinite", "raise", "--verbose", 0) == 0
    assert runs.Run(path).read_config()["settings"]["on_nonfinite"] == "skip"


def test_evaluate_a_run(run, run_cli, tmp_path, capsys):
    file = tmp_path / "new" / "numbers.json"
    assert run_cli("evaluate", "--model", run, "--baseline", "--json", file) == 0
    assert "mean_iou" in capsys.readouterr().out
    numbers = json.loads(file.read_text())
    assert tuple(numbers["results"]) == tuple(numbers["constant"]) == TASKS
    iou = numbers["class_iou"]["segmentation"]
    present = [value for value in iou.values() if value is not None]
    assert len(iou) == 13 and len(present) > 1
    assert np.mean(present) == pytest.approx(numbers["results"]["segmentation"]["mean_iou"])
    # Chosen on the image that was held out, scored on those of the test split.
    sources = runs.get_sources(runs.Run(run).read_settings())
    model = keras.saving.load_model(run / "best.keras")
    best = min(history(run), key=lambda row: float(row["val_loss"]))
    chosen, scored = (
        evaluation.evaluate(model, runs.get_batches(source, model.tasks, (32, 32), 8))
        for source in (sources.validation, sources.test)
    )
    close = functools.partial(pytest.approx, rel=1e-3, abs=1e-4)
    for task in TASKS:
        assert numbers["results"][task] == close(scored[task])
        assert {n: float(best[f"val_{task}_{n}"]) for n in chosen[task]} == close(chosen[task])


def test_info(run, run_cli, capsys):
    assert run_cli("info", run) == 0
    shown = capsys.readouterr().out
    assert "segmentation (13), depth (1), normal (3)" in shown and "phase" not in shown
    assert "DynamicWeightAverage" in shown and "Adam" in shown and "Grouped" not in shown
    assert "rooms; training 'train', validation " in shown and "4 of 4" in shown
    assert "segmentation: bed, books" in shown and "resume" not in shown
    best = min(history(run), key=lambda row: float(row["val_loss"]))
    assert f"Epoch {int(best['epoch']) + 1} is the best" in shown
    assert f"mean_angle {number(float(best['val_normal_mean_angle']))}" in shown


def test_predict_any_picture(run, run_cli, tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (50, 70, 4)).astype("uint8")
    (tmp_path / "b").mkdir()
    paths = [tmp_path / "a.png", tmp_path / "a.jpg", tmp_path / "b" / "a.gif"]
    Image.fromarray(pixels).save(paths[0])
    Image.fromarray(pixels[..., 0]).save(paths[1])
    Image.fromarray(pixels[..., 0]).convert("P").save(paths[2])
    out = tmp_path / "out"
    assert run_cli("predict", *paths, "--model", run, "--out", out) == 0
    ends = [f"_{task}.png" for task in TASKS] + ["_depth_mm.png", "_all.png", ".npz"]
    ends += ["_segmentation_classes.png", "_segmentation_overlay.jpg"]
    expected = {f"{name}{end}" for name in ("a", "a-2", "a-3") for end in ends}
    assert {file.name for file in out.iterdir()} == expected
    arrays = np.load(out / "a.npz")
    assert arrays["segmentation"].dtype == np.int32
    assert arrays["segmentation"].shape == (50, 70)
    assert arrays["depth"].shape == (50, 70, 1)
    np.testing.assert_allclose(np.linalg.norm(arrays["normal"], axis=-1), 1, atol=5e-3)
    classes = np.asarray(Image.open(out / "a_segmentation_classes.png"))
    np.testing.assert_array_equal(classes, arrays["segmentation"])
    picture = np.asarray(Image.open(out / "a_segmentation.png"))
    np.testing.assert_array_equal(picture, SemanticSegmentation().colorize(classes))


@pytest.mark.one_backend
def test_report_of_two_runs(run, run_cli, tmp_path):
    shutil.copytree(run, tmp_path / "other")
    file = tmp_path / "new" / "report.html"
    options = ("--out", file, "--pictures", 2, "--num-samples", 2)
    assert run_cli("report", run, tmp_path / "other", *options) == 0
    text = file.read_text(encoding="utf-8")
    # Nothing is fetched: all pictures are in the page.
    assert text.startswith("<!doctype html>") and 'name="viewport"' in text
    assert "<script" not in text and "<link" not in text
    addresses = re.findall(r'src="([^"]{20})', text)
    assert addresses and all(address.startswith("data:image/") for address in addresses)
    for expected in ("Scores on the test images", "Learning curves", "share of the truth"):
        assert expected in text
    for expected in ("Confusion matrix of segmentation", "keras-atinet train", "seed"):
        assert expected in text
    assert "Attention masks" not in text  # this network has none


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="written on TensorFlow")
def test_export(run, run_cli, tmp_path, monkeypatch, capsys):
    for package in ("onnx", "tf2onnx", "onnxruntime", "nncf"):
        pytest.importorskip(package)
    out = tmp_path / "run" / "best.onnx"
    copy = shutil.copytree(run, tmp_path / "run")
    assert run_cli("export", copy, "--format", "onnx", "--any-size") == 0
    assert "best.onnx" in capsys.readouterr().out
    model = keras.saving.load_model(run / "best.keras")
    batches = runs.get_batches(Rooms(2, (32, 32), "test"), model.tasks, (32, 32), 2)
    expected = evaluation.evaluate(model, batches)
    results = evaluation.evaluate_function(model.tasks, exporting.ExportedModel(out), batches)
    for task, values in expected.items():
        for name, value in values.items():
            assert results[task][name] == pytest.approx(value, rel=1e-3, abs=1e-4)

    # The file before quantization takes as long again, and is the same.
    monkeypatch.setattr(
        exporting, "export_model", lambda model, path, *_, **options: shutil.copy(out, path)
    )
    assert run_cli("export", copy, "--format", "onnx", "--int8", "--batch-size", 1) == 0
    assert "best-int8.onnx" in capsys.readouterr().out


@pytest.mark.one_backend
def test_atinet_trains_on_a_folder_and_switches_phase(run_cli, tmp_path, capsys):
    folder = tmp_path / "rooms13"
    for split in ("train", "test"):
        for index, sample in enumerate(Rooms(3, (40, 48), split)):
            pictures = {
                "image": (sample["image"] * 255).astype("uint8"),
                "label13": sample["segmentation"].astype("uint8"),
                "depth": (sample["depth"][..., 0] * 1000).astype("uint16"),
                "normal": np.rint((sample["normal"] + 1) * 127.5).astype("uint8"),
            }
            for key, array in pictures.items():
                (folder / split / key).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(folder / split / key / f"{index}.png")
    path = tmp_path / "atinet"
    arguments = ["--tasks", "segmentation", "normal", "--switch-at", 0.5, "--epochs", 2]
    arguments += ["--image-size", 32, 32, "--filters", *[4] * 5, "--verbose", 0]
    assert run_cli("train", "--data", folder, *arguments, "--out", path) == 0
    shown = capsys.readouterr().out
    assert "2 training images, 1 held out" in shown and "on 3 images (split 'test')" in shown
    assert run_cli("info", path / "last.keras") == 0
    shown = capsys.readouterr().out
    assert "segmentation (13), normal (3)" in shown and "2 (distilled)" in shown
    assert "DynamicWeightAverage" in shown and "Adam" in shown and "Grouped" not in shown
    options = ("--data", folder, "--split", "train", "--averaging", "batch", "--batch-size", 2)
    assert run_cli("evaluate", "--model", path / "last.keras", *options) == 0
    assert "rooms13, split 'train': 3 images\n" in capsys.readouterr().out
