"""Descriptions of runs as damage, or another version, may leave them."""

import copy
import json
import pathlib
import random
import traceback

import pytest

import keras_atinet
from keras_atinet import runs
from keras_atinet.files import write_json
from keras_atinet.runs.config import OPTIONAL, check_known, read_config
from keras_atinet.settings import DEFAULT, RECIPES, SCALES

pytestmark = pytest.mark.backend_free
CONFIG = {"settings": DEFAULT, "versions": {"backend": "torch"}, "command": "keras-atinet train"}


@pytest.mark.parametrize(
    ("part", "key", "value", "expected"),
    [
        (None, "settings", None, "it has no 'settings'"),
        (None, "settings", ["atinet"], "it has no 'settings'"),
        (None, "versions", {}, "its backend is None, not one of tensorflow, jax, torch"),
        ("versions", "backend", "theano", "its backend is 'theano'"),
        ("versions", "backend", ["torch"], "its backend is ['torch']"),
        ("settings", "data", None, "its 'data' cannot be None"),
        (
            "settings",
            "model",
            "vgg",
            "its 'model' is 'vgg', not one of single, split, cross_stitch",
        ),
        ("settings", "model", {}, "its 'model' is {}"),
        ("settings", "epochs", "12", "its 'epochs' cannot be '12'"),
        ("settings", "epochs", 0, "its 'epochs' cannot be 0"),
        ("settings", "epochs", True, "its 'epochs' cannot be True"),
        ("settings", "batch_size", 8.5, "its 'batch_size' cannot be 8.5"),
        ("settings", "learning_rate", -1e-3, "its 'learning_rate' cannot be -0.001"),
        ("settings", "learning_rate", 10**400, "its 'learning_rate' cannot be 1000"),
        ("settings", "seed", 2**32, "its 'seed' cannot be 4294967296"),
        ("settings", "switch_at", 1.5, "its 'switch_at' cannot be 1.5"),
        ("settings", "image_size", [64], "its 'image_size' cannot be [64]"),
        ("settings", "filters", [16, 32, "64", 64, 64], "its 'filters' cannot be"),
        ("settings", "splits", [], "its 'splits' cannot be []"),
        ("settings", "tasks", [], "its 'tasks' cannot be []"),
        ("settings", "tasks", "depth", "its 'tasks' cannot be 'depth'"),
        ("settings", "patience", -1, "its 'patience' cannot be -1"),
        ("settings", "deep_split", 1, "its 'deep_split' cannot be 1"),
    ],
)
def test_what_no_run_has_is_told(part, key, value, expected, tmp_path):
    config = copy.deepcopy(CONFIG)
    (config[part] if part else config)[key] = value
    run = runs.Run(tmp_path)
    run.config.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="The description of a run is damaged") as raised:
        run.read_settings()
    assert expected in str(raised.value) and str(run.config) in str(raised.value)


@pytest.mark.parametrize("key", ["data", "model", "epochs", "seed"])
def test_a_lost_setting_is_no_default(key, tmp_path):
    settings = {name: value for name, value in DEFAULT.items() if name != key}
    write_json(tmp_path / "config.json", {**CONFIG, "settings": settings})
    with pytest.raises(ValueError, match=f"its settings lack '{key}'"):
        read_config(tmp_path / "config.json")


@pytest.mark.parametrize(
    "content", ["", '{"settings": {"da', "[]", "\udcff", pytest.param(100_000 * "[", id="nested")]
)
def test_what_is_no_description_is_told(content, tmp_path):
    run = runs.Run(tmp_path)
    run.config.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=r"Put it back from a copy, or begin a new run") as raised:
        run.read_settings()
    assert str(run.config) in str(raised.value)


def test_what_runs_write_is_right(tmp_path):
    given = {"tasks": ["depth"], "patience": 3, "remat": "attention", "class_weights": "balanced"}
    given |= {"weights": "best.keras", "splits": ["train"], "learning_rate": 1, "augment": False}
    given |= {"encoder": "resnet50", "encoder_weights": "imagenet", "decoder": "unet"}
    given |= {"decoder_filters": [8], "freeze_encoder": 2, "encoder_lr": 0.1}
    for settings in (*RECIPES.values(), *SCALES.values(), {**DEFAULT, **given}):
        write_json(tmp_path / "config.json", {**CONFIG, "settings": settings})
        assert read_config(tmp_path / "config.json")["settings"] == settings
        check_known(settings)
    # A setting that is `None` by default says there what else it may be.
    assert set(OPTIONAL) == {key for key, value in DEFAULT.items() if value is None}
    with pytest.raises(ValueError, match="Received others as well: epohcs"):
        check_known({**DEFAULT, "epohcs": 3})


def mutated(content, rng):
    """Bytes with one fault, as damage or an editor leaves it."""
    at, values = rng.randrange(len(content)), rng.randbytes(rng.randint(1, 8))
    return rng.choice(
        [
            content[:at],
            content[:at] + content[rng.randrange(at, len(content)) :],
            content[:at] + values + content[at + len(values) :],
            content[:at] + values + content[at:],
            content.replace(
                rng.choice([b",", b"1", b'"', b"\n", b"t"]), rng.choice([b"", b"[", b"-"])
            ),
        ]
    )


def test_damaged_runs_are_told_by_errors_of_this_package(tmp_path):
    run, rng = runs.Run(tmp_path), random.Random(17)
    run.create(DEFAULT, "keras-atinet train")
    run.history.write_text("epoch,loss,val_loss\n0,2.5,2.75\n1,2.25,\n2,2.0,2.5\n3,1.9,nan\n")
    files = {file: file.read_bytes() for file in (run.config, run.history)}
    told = 0
    for _ in range(300):
        file = rng.choice(list(files))
        file.write_bytes(mutated(files[file], rng))
        try:
            settings = run.read_settings()
            run.is_finished()
            run.best_value()
            assert settings.keys() >= DEFAULT.keys()
        except ValueError as error:
            told += 1
            place = pathlib.Path(traceback.extract_tb(error.__traceback__)[-1].filename)
            assert pathlib.Path(keras_atinet.__file__).parent in place.parents, error
            assert str(file) in str(error)
        file.write_bytes(files[file])
    assert told > 150
