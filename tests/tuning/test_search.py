"""`keras-atinet search`."""

import csv
import json
import os
import signal

import keras
import pytest

from keras_atinet import cli
from keras_atinet.cli.parser import build_parser
from keras_atinet.files import WriteError
from keras_atinet.runs import text_table

keras_tuner = pytest.importorskip("keras_tuner")
tuning = pytest.importorskip("keras_atinet.tuning")

TINY = ["--model", "split", "--tasks", "depth", "normal", "--image-size", 32, 32]
TINY += ["--width", 1 / 16, "--batch-size", 4, "--num-samples", 8]
TINY += ["--balancers", "equal", "--learning-rate", 1e-4, 1e-2, "--algorithm", "random"]
# The search is the same on all backends, and this one starts fastest.
on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="tested on PyTorch")


def search(*arguments):
    return cli.main([str(argument) for argument in ("search", *TINY, *arguments)])


def results(folder):
    with (folder / "results.csv").open(newline="") as file:
        return {row["trial"]: row for row in csv.DictReader(file)}


@on_torch
def test_a_stopped_search_goes_on(tmp_path, monkeypatch, capsys):
    def stop(self, hp, *arguments, **kwargs):
        trained.append(hp.values["learning_rate"])
        if len(trained) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return fit(self, hp, *arguments, **kwargs)

    fit, trained = tuning.MultiTaskHyperModel.fit, []
    monkeypatch.setattr(tuning.MultiTaskHyperModel, "fit", stop)
    assert search("--epochs", 1, "--max-trials", 2, "--out", tmp_path) == 143
    assert "The same command goes on" in capsys.readouterr().out
    assert search("--epochs", 1, "--max-trials", 3, "--out", tmp_path) == 0
    assert len(trained) == 4 and trained[1] == trained[2] and len(set(trained)) == 3

    rows = results(tmp_path)
    assert [row["status"] for row in rows.values()] == ["completed"] * 3
    scores = [float(row["delta_m"]) for row in rows.values()]
    assert scores == sorted(scores, reverse=True)
    printed = capsys.readouterr().out
    header, *shown = [
        line.split() for line in printed.splitlines() if "/3 " in line or "left" in line
    ]
    assert header == ["trial", "time", "left", "delta_m", "learning_rate"]
    assert [row[-5].lstrip("*") for row in shown] == ["2/3", "3/3"]
    assert {row[-2] for row in shown} <= set(map(text_table.number, scores))
    best = next(iter(rows.values()))
    assert f"--learning-rate {float(best['learning_rate']):.4g}" in printed
    assert keras.saving.load_model(tmp_path / "best.keras").get_config()["filters"][0] == 4
    command = printed.strip().splitlines()[-1]
    assert build_parser().parse_args(command.split()[1:]).balancer == "equal"

    assert search("--epochs", 1, "--out", tmp_path, "--seed", 5) == 2
    assert "seed=5" in capsys.readouterr().err


@on_torch
def test_a_search_ends_where_the_disk_is_full(tmp_path, monkeypatch, capsys):
    def fit(self, *arguments, **kwargs):
        raise WriteError("The disk is full.")

    monkeypatch.setattr(keras.Model, "fit", fit)
    assert search("--epochs", 1, "--max-trials", 3, "--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert "error: The disk is full. The same command goes on with the search." in error
    assert "Traceback" not in error


@on_torch
@pytest.mark.parametrize("max_trials", [1, 3])  # after three KerasTuner stops by itself
def test_a_search_without_a_result_fails(max_trials, tmp_path, monkeypatch, capsys):
    def fit(self, hp, *arguments, **kwargs):
        raise ValueError(f"odd data {next(numbers)}")

    numbers = iter(range(9))
    monkeypatch.setattr(tuning.MultiTaskHyperModel, "fit", fit)
    options = ["--learning-rate", 1e-4, 1e-2, "--max-trials", max_trials]
    assert search(*options, "--out", tmp_path) == 2
    error = capsys.readouterr().err.splitlines()[-2:]
    expected = "No trial of the search gave a result. The first one failed: ValueError: odd data 0"
    assert error[0] == f"keras-atinet: error: {expected}"
    assert error[1] == f"The whole errors are in '{tmp_path / 'trials'}'."
    rows = results(tmp_path)
    assert [row["status"] for row in rows.values()] == ["failed"] * max_trials


@on_torch
def test_two_workers_share_a_search(tmp_path, monkeypatch):
    # What Keras imports if it is there, and a process of a search does not need.
    for name in ("jax", "sklearn", "matplotlib"):
        (tmp_path / "hidden" / name).mkdir(parents=True)
        (tmp_path / "hidden" / name / "__init__.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"), prepend=os.pathsep)
    folder = tmp_path / "search"
    # Trials that last longer than one worker starts before the other.
    options = ["--tasks", "depth", "--epochs", 4, "--max-trials", 2, "--workers", 2]
    assert search(*options, "--out", folder) == 0
    rows = results(folder)
    assert [row["status"] for row in rows.values()] == ["completed"] * 2
    for number in (1, 2):
        # Written at the end of each trial by the worker which trained it.
        assert (folder / "trials" / f"worker-{number}.json").exists()
    assert "KERASTUNER_ORACLE_IP" not in os.environ


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--splits", "a", "b", "c"], "takes one part"),
        (["--baseline", "{tmp}/wrong.json"], "evaluate --json"),
        (["--baseline", "{tmp}/depth.json"], "nothing of task 'normal'"),
        (["--encoder-lr", "0.1"], "`encoder_lr` is for networks with an `encoder`"),
        (["--encoder", "{tmp}/none.keras"], "no such `encoder`"),
        (["--out", "{tmp}"], "new or an empty folder"),
    ],
)
def test_errors_are_one_line(arguments, message, tmp_path, capsys):
    (tmp_path / "wrong.json").write_text("[]")
    (tmp_path / "depth.json").write_text(json.dumps({"results": {"depth": {"abs_error": 1.0}}}))
    arguments = ["--out", tmp_path / "new", *(text.format(tmp=tmp_path) for text in arguments)]
    assert search(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("keras-atinet: error: ") and message in error
