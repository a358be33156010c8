import math
import zipfile
from types import SimpleNamespace

import keras
import pytest

from keras_atinet import PhaseSwitch, runs
from keras_atinet.data import class_weights
from keras_atinet.evaluation import MeanError
from keras_atinet.runs.patience import Patience
from keras_atinet.runs.recording import write_rows
from keras_atinet.training.callbacks import BestNumber

pytestmark = pytest.mark.one_backend


def write_model(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "")


def best_of(run):
    callbacks = runs.get_callbacks(run, runs.DEFAULT, SimpleNamespace())
    (best,) = [c for c in callbacks if getattr(c, "save_best_only", False)]
    assert isinstance(best, keras.callbacks.ModelCheckpoint)
    return best


def test_the_best_model_survives_a_resume(tmp_path):
    run = runs.Run(tmp_path)
    run.history.write_text("epoch,val_loss\n0,1.5\n1,1.25\n2,1.75\n")
    run.best.write_bytes(b"PK\3\4 cut short")
    assert run.best_value() is None
    write_model(run.best)
    assert best_of(run).best == run.best_value() == 1.25


def test_the_best_epoch_is_that_of_the_lowest_error(tmp_path):
    run, settings = runs.Run(tmp_path), {**runs.DEFAULT, "best_by": "error", "patience": 2}
    run.create(settings, "keras-atinet train")
    run.history.write_text("epoch,val_loss,val_error\n0,1.5,4\n1,1.25,3\n2,1.75,2\n3,1.0,2\n")
    assert run.best_row()["epoch"] == "2" and not run.is_finished()
    write_model(run.best)
    callbacks = runs.get_callbacks(run, settings, SimpleNamespace())
    (best,) = [c for c in callbacks if getattr(c, "save_best_only", False)]
    (patience,) = [c for c in callbacks if isinstance(c, Patience)]
    assert best.monitor == patience.monitor == "val_error" and best.best == run.best_value() == 2
    assert isinstance(callbacks[0], MeanError)


@pytest.mark.parametrize("first", [math.nan, math.inf])
@pytest.mark.parametrize("resumed", [False, True])
def test_a_loss_that_is_no_number_does_not_stay_the_best(first, resumed, tmp_path):
    """As an epoch without a valid pixel, or one whose network predicts NaN."""
    run, saved = runs.Run(tmp_path), []
    callback = best_of(run)
    forget = BestNumber([callback])
    for epoch, loss in enumerate((first, 1.5, math.nan, 1.75, 1.25)):
        if resumed:
            write_rows(run.history, [{"epoch": 0, "val_loss": first}]) if epoch == 1 else None
            write_model(run.best)
            callback = best_of(run) if epoch == 1 else callback
            forget = BestNumber([callback])
        callback.set_model(
            SimpleNamespace(save=lambda *args, epoch=epoch, **kw: saved.append(epoch))
        )
        for each in (callback, forget):
            each.on_epoch_end(epoch, {"val_loss": loss})
    assert saved == [0, 1, 4]


def test_damaged_files_of_a_run_are_told(tmp_path):
    run, lines = runs.Run(tmp_path), []
    run.backup = SimpleNamespace(restore=lambda model, report: 1, folder=tmp_path / "backup")
    run.history.write_text("epoch,val_loss\n0,1.5\n1,1.25\n")
    run.best.write_bytes(b"garbage")
    assert run.restore(None, lines.append) == 1
    assert [row["epoch"] for row in run.rows()] == ["0"]
    (line,) = lines
    assert line.startswith("The next epoch replaces a damaged file: ") and str(run.best) in line
    # Training would begin again, and write over what there is.
    run.history.write_text("epoch,val_loss\n0,1.5\n1,1.25\n")
    run.backup.restore = lambda model, report: 0
    with pytest.raises(ValueError, match=r"There is no state to resume from.*after 2 epochs"):
        run.restore(None, lines.append)
    assert len(run.rows()) == 2


@pytest.mark.parametrize("kind", ["empty", "cut", "no model", "of others"])
def test_a_model_that_cannot_be_read_is_told(kind, tmp_path):
    run = runs.Run(tmp_path)
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).save(run.last)
    content = run.last.read_bytes()
    run.best.write_bytes({"empty": b"", "cut": content[: len(content) // 2]}.get(kind, content))
    if kind == "no model":
        write_model(run.best)
    with pytest.raises(ValueError, match=r"(?i)model.*Received: '.*best\.keras'") as raised:
        runs.load_model(runs.find_model(tmp_path)[0])
    if kind in ("empty", "cut"):
        assert f"Take another, such as '{run.last}'" in str(raised.value)


def test_networks_with_two_phases_switch_where_the_settings_say(tmp_path):
    model = SimpleNamespace(distillation_active=False)
    run, settings = runs.Run(tmp_path), {**runs.DEFAULT, "switch_at": 0.25, "seed": 3}
    switch, *others = runs.get_callbacks(run, settings, model)
    assert isinstance(switch, PhaseSwitch) and switch.at == 0.25
    assert len(others) == len(runs.get_callbacks(run, settings, SimpleNamespace()))
    with pytest.raises(ValueError, match="`at`"):
        runs.get_callbacks(run, {**settings, "switch_at": 2}, model)


def test_no_callback_makes_keras_wait_for_each_step(tmp_path, monkeypatch):
    """On JAX and PyTorch it waits for callbacks with a method for the end of a batch."""

    def is_default(callback, name):
        method = getattr(getattr(callback, name), "__func__", None)
        return method is getattr(keras.callbacks.Callback, name)

    received = []
    monkeypatch.setattr(
        keras.Model, "fit", lambda self, *data, callbacks, **kwargs: received.extend(callbacks)
    )
    settings = {**runs.DEFAULT, "model": "single", "num_samples": 4}
    settings |= {"image_size": [32, 32], "filters": [1] * 5}
    runs.train(runs.Run(tmp_path), settings, "keras-atinet train", report=lambda line: None)
    assert {"FiniteLosses", "Checkpoint", "Interruption"} <= {type(c).__name__ for c in received}
    ends = [f"on_{part}batch_end" for part in ("", "train_", "test_")]
    for callback in received:
        own = [name for name in ends if not is_default(callback, name)]
        assert not own or getattr(callback, "async_safe", False), (callback, own)


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("single", "mtan", "padnet")
        else pytest.param(name, marks=pytest.mark.one_backend)
        for name in runs.MODELS
        if name not in ("split", "atinet")
    ],
)
def test_every_network_is_trained(name, tmp_path):
    """The other two are in `tests/cli/test_trained_run.py`."""
    settings = {**runs.DEFAULT, "model": name, "epochs": 1, "num_samples": 4, "batch_size": 4}
    settings |= {"image_size": [32, 32], "filters": [4] * 5}
    settings["class_weights"] = "balanced" if name == "single" else None
    run = runs.Run(tmp_path)
    runs.train(run, settings, "keras-atinet train", verbose=0, report=lambda line: None)
    model = keras.saving.load_model(run.last)
    assert type(model) is getattr(runs.MODELS[name], "func", runs.MODELS[name])
    tasks = ["segmentation"] if name == "single" else ["segmentation", "depth", "normal"]
    assert [task.name for task in model.tasks] == tasks
    # Those of the images to learn from.
    balanced = class_weights(runs.get_sources(settings).train) if name == "single" else None
    assert model.tasks[0].class_weights == balanced
