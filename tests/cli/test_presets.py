"""The commands with a preset: written from a run, shown, scored, trained further."""

import json
import re

import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_atinet import Split, from_preset, runs, settings
from keras_atinet.runs.recording import write_rows

pytestmark = pytest.mark.one_backend
SMALL = {"image_size": [32, 32], "filters": [2] * 5, "num_samples": 4, "model": "split"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run, without its training."""
    run = runs.Run(tmp_path_factory.mktemp("runs") / "first")
    run.create({**runs.DEFAULT, **SMALL, "epochs": 2, "data": "rooms"}, "keras-atinet train")
    tasks = runs.get_tasks(runs.get_source(run.read_settings(), "test"))
    Split(tasks, (32, 32, 3), SMALL["filters"]).save(run.best)
    row = {"val_loss": 1.5, "val_depth_rmse": 0.75, "seconds": 90}
    write_rows(run.history, [{"epoch": 0, **row}, {"epoch": 1, **row, "val_loss": 2.0}])
    return run.path


@pytest.fixture(scope="module")
def preset(run, run_cli, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "rooms"
    assert run_cli("export", run, "--format", "preset", "--out", folder, "--dtype", "float16") == 0
    return folder


def test_the_card_says_what_the_run_knows(run, preset, run_cli, tmp_path, monkeypatch, capsys):
    card = (preset / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: keras\n") and "license: other  # to fill in" in card
    for line in (
        "# rooms",
        "| data | rooms, at 32 x 32 |",
        "| epochs | 2 of 2, batches of 8 |",
        "| training time | 3 minutes |",
        "## Scores of epoch 1, the best, on the images it was chosen on",
        "| depth, rmse | 0.7500 |",
        "## Data, licence, limits",
        "keras-atinet predict photo.jpg --model rooms --out predictions",
    ):
        assert f"\n{line}\n" in card
    monkeypatch.setitem(settings.DEFAULT, "num_samples", 4)
    scores, notes = tmp_path / "scores.json", tmp_path / "notes.md"
    assert run_cli("evaluate", "--model", preset, "--data", "rooms", "--json", scores) == 0
    notes.write_text("## Data\n\nSynthetic rooms.\n")
    arguments = ["--scores", scores, "--notes", notes, "--out", tmp_path / "again"]
    assert run_cli("export", run, "--format", "preset", *arguments) == 0
    card = (tmp_path / "again" / "README.md").read_text()
    found = json.loads(scores.read_text())
    assert f"## Scores on {found['images']} images (split 'test'), at 32 x 32\n" in card
    assert f"| depth, rmse | {found['results']['depth']['rmse']:.4f} |\n" in card
    assert "\n## Data\n\nSynthetic rooms.\n" in card and "to fill in" not in card.lower()
    notes.write_text("{}")
    arguments[1] = notes
    assert run_cli("export", run, "--format", "preset", *arguments) == 2
    assert "that `keras-atinet evaluate --json` wrote" in capsys.readouterr().err


def test_a_preset_has_the_facts_of_its_model(run, preset, run_cli, capsys):
    shown = []
    for model in (preset, run):
        assert run_cli("info", model) == 0
        shown.append(capsys.readouterr().out.splitlines())
    assert shown[0][0] == f"model         Split ({preset})"
    # What else there is, is the run's.
    assert set(shown[0][1:]) < set(shown[1])


def test_training_goes_on_from_a_preset(preset, tmp_path):
    out, lines = runs.Run(tmp_path / "finer"), []
    # Steps of no size: all but the statistics of BatchNorm is what the preset has.
    options = {**SMALL, "tasks": ["depth"], "num_samples": 2, "epochs": 1, "learning_rate": 1e-9}
    chosen = {**runs.DEFAULT, **options, "image_size": [64, 32], "weights": str(preset)}
    runs.train(out, chosen, "keras-atinet train", verbose=0, report=lines.append)
    assert lines[0].startswith(f"Weights of {preset}: ") and "not used" in lines[0]
    source, model = from_preset(preset), runs.load_model(out.best)
    expected = {variable.path: variable for variable in source.trainable_weights}
    for variable in model.trainable_weights:
        np.testing.assert_allclose(*map(to_numpy, (variable, expected[variable.path])), atol=1e-6)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--format", "preset", "--int8"], "`--int8` is for runtimes.*--format preset"),
        (["--format", "onnx", "--dtype", "float16"], "`--dtype` is for presets.*--format onnx"),
        (["--format", "litert", "--int8"], "`--int8` is for the formats"),
    ],
)
def test_options_of_another_format(run, run_cli, capsys, arguments, words):
    assert run_cli("export", run, *arguments) == 2
    assert re.search(words, capsys.readouterr().err)


def test_names_and_descriptions(run_cli, capsys):
    name = settings.DEFAULT_PRESET
    assert run_cli("info", name[:-1]) == 2
    assert f"Did you mean '{name}'?" in capsys.readouterr().err
    assert run_cli("info", "hf://rooms") == 2
    assert "'hf://org/name'" in capsys.readouterr().err
