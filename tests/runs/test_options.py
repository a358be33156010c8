"""What settings make of training: rates, stopping, optimizer, weights to begin with."""

import math

import keras
import numpy as np
import pytest

from keras_atinet import runs
from keras_atinet.runs.patience import Patience

pytestmark = pytest.mark.one_backend
SMALL = {
    **runs.DEFAULT,
    "model": "single",
    "num_samples": 4,
    "batch_size": 2,
    "image_size": [32, 32],
    "filters": [2] * 5,
    "augment": "none",
}


def rates(**settings):
    settings = {**runs.DEFAULT, "learning_rate": 0.1, **settings}
    return [runs.learning_rate(settings, epoch) for epoch in range(settings["epochs"])]


def test_learning_rates():
    assert rates(schedule="constant", epochs=3) == [0.1] * 3
    assert rates(epochs=5) == [0.1, 0.1, 0.1, 0.05, 0.05]
    assert rates(epochs=4, warmup=3) == pytest.approx([0.025, 0.05, 0.075 / 2, 0.05])
    cosine = [0.1 * (1 + math.cos(math.pi * e / 4)) / 2 for e in range(4)]
    assert rates(schedule="cosine", epochs=4) == pytest.approx(cosine)
    assert rates(schedule="cosine", epochs=5, warmup=1) == pytest.approx([0.05, *cosine])


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"schedule": "linear"}, "'cosine'.*'linear'"), ({"warmup": 5, "epochs": 5}, "warmup=5")],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        rates(**settings)


@pytest.mark.parametrize(
    ("losses", "first", "expected"),
    [
        ([3, 2, 2.5, 2], 0, True),
        ([3, 2, 2.5], 0, False),
        ([3, 2, 2.5, 1.9, 2], 0, False),
        ([3, 2, math.nan, math.nan], 0, True),
        # NaN is nothing to compare with.
        ([math.nan, math.nan, math.nan, 3], 0, False),
        # Of two phases the second counts, whatever the best of the first was.
        ([1, 2, 3, 4, 3.5], 3, False),
        ([1, 2, 3, 4, 3.5, 3.6, 3.7], 3, True),
        ([], 0, False),
    ],
)
def test_patience(losses, first, expected):
    rows = [{"epoch": str(epoch), "val_loss": str(loss)} for epoch, loss in enumerate(losses)]
    assert Patience(2, first, rows).is_over() == expected


def test_a_run_without_patience_left_is_finished(tmp_path):
    run = runs.Run(tmp_path)
    settings = {**runs.DEFAULT, "epochs": 10, "patience": 2, "switch_at": 0.1}
    run.create(settings, "keras-atinet train")
    run.history.write_text("epoch,val_loss\n0,1\n1,1.5\n2,1.6\n")
    assert not run.is_finished()
    run.history.write_text(run.history.read_text() + "3,1.7\n")
    assert run.is_finished()
    run.change_settings(patience=None)
    assert not run.is_finished()


def test_settings_of_older_versions(tmp_path):
    run = runs.Run(tmp_path)
    old = {key: runs.DEFAULT[key] for key in ("data", "model", "epochs", "seed")}
    for value, name in ((True, "mirror"), (False, "none"), ("full", "full")):
        run.create({**old, "augment": value}, "keras-atinet train")
        assert run.read_settings() == {**runs.DEFAULT, "hold_out": 0, "augment": name}


class Stop(Exception):
    """Raised in the middle of a training, as a kill would end it."""


def trained(path, callbacks=(), **settings):
    run, lines = runs.Run(path), []
    arguments = {"verbose": 0, "report": lines.append, "callbacks": callbacks}
    runs.train(run, {**SMALL, **settings}, "keras-atinet train", **arguments)
    return run, lines


def test_a_resumed_run_gives_the_numbers_of_an_undisturbed_one(tmp_path):
    # An update every 3 of 2 batches an epoch: gradients wait from epoch to epoch.
    settings = {"schedule": "cosine", "warmup": 1, "weight_decay": 0.1, "accumulate": 3}
    settings["epochs"] = 4

    def stop(epoch, logs=None):
        if epoch == 2:
            raise Stop

    whole, _ = trained(tmp_path / "whole", **settings)
    stopper = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
    with pytest.raises(Stop):
        trained(tmp_path / "resumed", [stopper], **settings)
    resumed, _ = trained(tmp_path / "resumed", **settings)
    for one, other in zip(whole.rows(), resumed.rows(), strict=True):
        for name in ("loss", "val_loss", "learning_rate"):
            assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-6)
    assert [float(row["learning_rate"]) for row in whole.rows()] == pytest.approx(
        [runs.learning_rate({**SMALL, **settings}, epoch) for epoch in range(4)]
    )


def test_patience_ends_a_run_and_weights_begin_one(tmp_path):
    def lose(epoch, logs):
        logs["val_loss"] = [3.0, 2.0, 2.5, 2.5][epoch]

    loser = keras.callbacks.LambdaCallback(on_epoch_end=lose)
    run, lines = trained(tmp_path / "first", [loser], epochs=9, patience=2)
    assert len(run.rows()) == 4 and run.is_finished() and not run.backup.folder.exists()
    assert lines[-1] == "Stopped after 4 of 9 epochs: no lower val_loss for 2 epochs."

    tuned, lines = trained(
        tmp_path / "tuned", epochs=1, learning_rate=1e-12, weights=str(run.path), tasks=["depth"]
    )
    assert "first/best.keras" in lines[0] and "as they were: 4 in depth" in lines[0]
    best, last = (keras.saving.load_model(file) for file in (run.best, tuned.last))
    for name in ("encoder_1_1", "decoder_1_2"):
        kernels = [model.get_layer(name).conv.kernel for model in (best, last)]
        np.testing.assert_allclose(*kernels, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="a switch of each backend")
def test_deterministic(tmp_path, recwarn):
    import torch

    try:
        options = {"deterministic": True, "epochs": 1}
        folders = [trained(tmp_path / name, **options)[0] for name in ("one", "other")]
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    one, other = ([row["val_loss"] for row in run.rows()] for run in folders)
    assert one == other
    assert not [warning for warning in recwarn if "determin" in str(warning.message)]
