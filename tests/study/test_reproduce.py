import csv
import json
import re
import shutil

import keras
import numpy as np
import pytest

from keras_atinet import cli, evaluation, runs
from keras_atinet import study as study_package
from keras_atinet.cli import reproduce
from keras_atinet.runs.recording import write_rows
from keras_atinet.settings import NETWORKS, PAPER_NETWORKS, SCALES
from keras_atinet.study.training import _last_scores
from keras_atinet.tasks import standardize_tasks

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")
# What a study trains, and how it is evaluated, is tested on each backend elsewhere.
pytestmark = pytest.mark.one_backend
STUDY = ["reproduce", "table1", "--data", "rooms", "--scale", "tiny", "--seeds", "1"]
RUN = "split-dwa-seed0"
SMALL = ["--models", "split", "--epochs", "2", "--num-samples", "8", "--batch-size", "8"]


def run_cli(*arguments):
    return cli.main([str(argument) for argument in arguments])


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check_page(text):
    assert text.startswith("<!doctype html>") and 'name="viewport"' in text
    # Nothing is fetched: all pictures are in the page.
    assert "<script" not in text and "<link" not in text
    addresses = re.findall(r'src="([^"]{20})', text)
    assert addresses and all(address.startswith("data:image/") for address in addresses)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished study of one network."""
    path = tmp_path_factory.mktemp("study")
    assert run_cli(*STUDY, *SMALL, "--out", path) == 0
    return path


def test_both_protocols_from_one_training(study):
    folder = study / RUN
    results = json.loads((folder / "results.json").read_text())
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"]["hold_out"] == 0.1 and config["machine"]["cores"] >= 1
    (last,) = rows(folder / "scores.csv")
    assert last["epoch"] == "1"
    error = results["scores"]["paper"]["depth"]["abs_error"]
    assert error == pytest.approx(float(last["depth_abs_error"]))

    history = rows(folder / "history.csv")
    losses = [float(row["val_loss"]) for row in history]
    assert results["chosen_epoch"] == 1 + int(np.argmin(losses))
    model = keras.saving.load_model(folder / "best.keras")
    settings = config["settings"]
    source = runs.get_source(settings, "test")
    batches = runs.get_batches(source, model.tasks, settings["image_size"], 1)
    expected = evaluation.evaluate(model, batches, "pixel")
    for task, scores in results["scores"]["clean"].items():
        assert scores == pytest.approx(expected[task], rel=1e-3, abs=1e-4)
    iou = results["class_iou"]["clean"]["segmentation"]
    present = [value for value in iou.values() if value is not None]
    mean = results["scores"]["clean"]["segmentation"]["mean_iou"]
    assert len(iou) == 13 and np.mean(present) == pytest.approx(mean)
    written = {r["metric"]: r["value"] for r in rows(study / "results.csv")}
    assert all(written[f"iou of {n}"] == ("" if v is None else str(v)) for n, v in iou.items())
    seconds = sum(float(row["seconds"]) for row in history)
    assert results["seconds"] == pytest.approx(seconds)


def test_the_paper_protocol_averages_the_last_epochs(tmp_path):
    tasks = standardize_tasks(["depth"])
    names = ["loss", *(metric.name for metric in tasks[0].metrics())]
    values = [{f"val_depth_{name}": epoch for name in names} for epoch in range(12)]
    run = runs.Run(tmp_path)
    write_rows(run.history, [{"epoch": epoch, **row} for epoch, row in enumerate(values)])
    scores = _last_scores(run, {"hold_out": 0, "epochs": 12}, tasks)
    assert scores == {"depth": dict.fromkeys(names, 8.5)}  # the mean of 6 to 11


def test_a_finished_study_is_only_tabulated(study, capsys):
    before = (study / "results.csv").read_text()
    assert run_cli(*STUDY, *SMALL, "--out", study, "--protocol", "clean") == 0
    shown = capsys.readouterr().out
    assert "[1/1]" not in shown and "| Split, published |" in shown
    assert (study / "results.csv").read_text() == before
    table = rows(study / "results.csv")
    assert {(row["protocol"], row["task"]) for row in table} == {
        (protocol, task)
        for protocol in ("paper", "clean")
        for task in ("segmentation", "depth", "normal")
    }
    check_page((study / "report.html").read_text(encoding="utf-8"))


def test_other_settings_are_refused(study, capsys):
    assert run_cli(*STUDY, *SMALL, "--out", study, "--learning-rate", 1) == 2
    error = capsys.readouterr().err
    assert "learning_rate: 0.001 there, 1.0 now" in error and "`--out`" in error


def test_a_run_is_finished_on_its_backend(study, tmp_path, capsys):
    folder = tmp_path / RUN
    folder.mkdir()
    config = json.loads((study / folder.name / "config.json").read_text())
    other = "torch" if keras.backend.backend() == "jax" else "jax"
    config["versions"]["backend"] = other
    (folder / "config.json").write_text(json.dumps(config))
    assert run_cli(*STUDY, *SMALL, "--out", tmp_path) == 2
    assert f"`--backend {other}`" in capsys.readouterr().err


def test_a_network_that_does_not_fit_is_refused_before_another_is_trained():
    settings, names = {**SCALES["tiny"], "hold_out": 0.1}, ["depth"]
    trials = study_package.plan(settings, names, ["split", "jtrl"], ["dwa"], range(1))
    with pytest.raises(ValueError, match="`JTRL` needs at least two tasks"):
        reproduce.check_networks(trials, standardize_tasks(names))


def test_all_networks_of_table_1(study, small_encoder, tmp_path, monkeypatch, capsys):
    options = [*STUDY, "--num-samples", 8, "--epochs", 2, "--encoder", small_encoder]
    options += ["--out", tmp_path]
    assert run_cli(*options, "--models", "atinet") == 0
    trained = tmp_path / "atinet-dwa-seed0"
    assert run_cli("info", trained / "last.keras") == 0
    assert "2 (distilled)" in capsys.readouterr().out

    def stand_in(run, settings, command, verbose):
        shutil.copytree(study / RUN, run.path)
        run.create(settings, command)
        results = json.loads((study / RUN / "results.json").read_text())
        for scores in results["scores"].values():
            for task in set(scores) - set(settings["tasks"]):
                del scores[task]
        (run.path / "results.json").write_text(json.dumps(results))

    monkeypatch.setattr(study_package, "train_trial", stand_in)
    monkeypatch.setattr(reproduce, "check_networks", lambda *arguments: None)  # half a minute
    assert run_cli(*options, "--models", *PAPER_NETWORKS, "supervised_padnet") == 0
    table = (tmp_path / "table1.md").read_text(encoding="utf-8")
    assert table.count("| PAD-Net, supervised |") == 2
    assert "PAD-Net, supervised, published" not in table
    for title in map(NETWORKS.get, PAPER_NETWORKS):
        assert table.count(f"| {title} |") == table.count(f"| {title}, published |") == 2
    assert table.count("### ATI-Net - MTAN") == 2
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    check_page(text)
    for expected in ("Attention masks", "Worst samples", "weights of the tasks", "no truth"):
        assert expected in text
