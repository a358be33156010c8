"""Tasks without any valid pixel: their results are NaN and count nowhere."""

import json
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_atinet import DepthEstimation, SurfaceNormals, evaluation, runs
from keras_atinet.data import Rooms
from keras_atinet.evaluation.results import from_json, to_json
from keras_atinet.runs.recording import History, read_rows
from keras_atinet.training import BestNumber

EAGER = keras.backend.backend() == "tensorflow"
ALL = range(5)
TASKS = [DepthEstimation(), SurfaceNormals()]
BASELINE = {"depth": {"abs_error": 1.0}, "normal": {"mean_angle": 40.0}}


def test_a_task_without_labels_in_validation_has_no_results(samples, make_model, tmp_path):
    model = make_model()
    metrics = {task.name: task.metrics()[:1] for task in model.tasks}
    metrics["depth"].append(keras.metrics.MeanSquaredError(name="mse"))
    model.compile(keras.optimizers.SGD(0.01), "dwa", metrics=metrics, run_eagerly=EAGER)
    baseline = {**BASELINE, "segmentation": {"mean_iou": 0.2}}
    history = tmp_path / "history.csv"
    callbacks = [evaluation.DeltaM(baseline), History(history)]
    with pytest.warns(UserWarning, match="leaves out depth"):
        logs = model.fit(
            samples(normal=ALL),
            validation_data=samples(depth=ALL),
            epochs=2,
            verbose=0,
            callbacks=callbacks,
        ).history
    for name in ("loss", "abs_error", "mse"):
        assert (
            np.isnan(logs[f"val_depth_{name}"]).all() and np.isfinite(logs[f"depth_{name}"]).all()
        )
    assert np.isnan(logs["normal_loss"]).all() and np.isfinite(logs["normal_weight"]).all()
    kernel = keras.ops.convert_to_numpy(model.layers[1].kernel)
    expected = logs["val_segmentation_loss"][1] + logs["val_normal_loss"][1]
    np.testing.assert_allclose(logs["val_loss"][1], expected + 0.1 * np.sum(kernel**2), rtol=1e-5)
    iou, angle = logs["val_segmentation_mean_iou"][1], logs["val_normal_mean_angle"][1]
    expected = 50 * ((iou - 0.2) / 0.2 - (angle - 40) / 40)
    np.testing.assert_allclose(logs["val_delta_m"][1], expected, rtol=1e-5)
    assert [row["val_depth_loss"] for row in read_rows(history)] == ["nan", "nan"]
    results = evaluation.evaluate(model, samples(depth=ALL))
    assert np.isnan(list(results["depth"].values())).all()


def test_nothing_to_sum_is_refused(samples, make_model, tmp_path):
    nothing, model = samples(segmentation=ALL, depth=ALL, normal=ALL), make_model()
    model.compile(run_eagerly=EAGER, metrics={})
    with pytest.raises(ValueError, match=r"no pixel of any task .* \['segmentation', 'depth'"):
        evaluation.evaluate(model, nothing)
    logs = model.evaluate(nothing, verbose=0, return_dict=True)
    assert np.isnan(list(logs.values())).all()
    # A later epoch with a number is better than one without.
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True)
    model.fit(samples(), validation_data=nothing, verbose=0, callbacks=[best])
    assert best.best is None
    model.fit(samples(), validation_data=samples(), verbose=0, callbacks=[best])
    assert np.isfinite(best.best)


@pytest.mark.backend_free
def test_callbacks_forget_a_best_value_that_is_nan():
    early = keras.callbacks.EarlyStopping("loss", patience=1, mode="min")
    early.set_model(SimpleNamespace(stop_training=False))
    forget = BestNumber([early, SimpleNamespace(), SimpleNamespace(best="none")])
    early.on_train_begin()
    for epoch, loss in enumerate((np.nan, 2.0, 1.0, np.nan)):
        assert not early.model.stop_training
        early.on_epoch_end(epoch, {"loss": loss})
        forget.on_epoch_end(epoch)
    assert early.best == 1.0 and early.best_epoch == 2 and early.model.stop_training


@pytest.mark.parametrize("average", ["metrics", "tasks"])
@pytest.mark.one_backend
def test_delta_m_is_over_the_tasks_that_have_labels(average):
    results = {
        "depth": {"loss": np.nan, "abs_error": np.nan},
        "normal": {"loss": 0.3, "mean_angle": 50.0},
    }
    with pytest.warns(UserWarning, match=r"leaves out depth: .* over normal\."):
        assert evaluation.delta_m(results, BASELINE, TASKS, average) == pytest.approx(-25)
    with pytest.warns(UserWarning, match="leaves out depth"):
        swapped = evaluation.delta_m(BASELINE, results, TASKS, average)
    assert swapped == pytest.approx(20)
    # A network that predicts NaN is not left out: the share of its right pixels is a number.
    wrong = {**results, "depth": {**results["depth"], "within_1.25": 0.0}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(evaluation.delta_m(wrong, BASELINE, TASKS, average))
    nothing = {"depth": results["depth"], "normal": {"mean_angle": np.nan}}
    with pytest.raises(ValueError, match="no valid pixel"):
        evaluation.delta_m(nothing, BASELINE, TASKS, average)


@pytest.mark.backend_free
def test_results_as_text_and_json():
    results = {"depth": {"loss": np.nan, "rmse": np.nan}, "normal": {"loss": 0.25, "mean": np.nan}}
    lines = evaluation.table(results, {"normal": {"loss": 0.5}}).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["depth", "loss", "-"],
        ["depth", "rmse", "-"],
        ["normal", "loss", "0.2500", "0.5000"],
        ["normal", "mean", "nan"],
        ["-:", "the", "data", "have", "no", "labels", "of", "depth"],
    ]
    text = json.dumps(to_json(results), allow_nan=False)
    assert json.loads(text)["depth"] == {"loss": None, "rmse": None}
    assert repr(from_json(json.loads(text))) == repr(results)


class Partial(Rooms):
    """Rooms, of which only some samples have labels of a task."""

    def __init__(self, count, **labelled):
        super().__init__(count, (32, 32))
        self.labelled, self.read = labelled, 0

    def __getitem__(self, index):
        self.read += 1
        sample = super().__getitem__(index)
        lacking = {name for name, indices in self.labelled.items() if index not in indices}
        return {name: value for name, value in sample.items() if name not in lacking}


@pytest.mark.one_backend
def test_splits_without_labels_are_named_before_training(recwarn):
    tasks, every = runs.get_tasks(Rooms()), range(300)
    complete = Partial(300)
    runs.check_labels((complete, Partial(4, depth=[2])), tasks)
    assert complete.read == 1 and not recwarn
    with pytest.raises(ValueError, match=r"No pixel of depth .* 3 training samples.*'train'"):
        runs.check_labels((Partial(3, depth=[], normal=[1]), complete), tasks)
    with pytest.warns(UserWarning, match=r"No pixel of depth .* 3 held-out samples .*`val_loss`"):
        runs.check_labels((complete, Partial(3, depth=[])), tasks)
    with pytest.raises(ValueError, match="No pixel of segmentation, depth, normal"):
        nothing = Partial(300, segmentation=[], depth=[], normal=[])
        runs.check_labels((complete, nothing), tasks)
    # Not all of a large split is read, and no more is said than is known.
    rare = Partial(300, depth=[every[1]])
    with pytest.warns(UserWarning, match="any of 200 training samples"):
        runs.check_labels((rare, complete), tasks)
    assert rare.read == 200


@pytest.mark.backend_free
def test_the_best_value_of_a_run_is_a_number(tmp_path, monkeypatch):
    run = runs.Run(tmp_path)
    monkeypatch.setattr("keras_atinet.runs.run.damage", lambda path: None)
    run.best.touch()
    run.history.write_text("epoch,val_loss\n0,nan\n1,nan\n")
    assert run.best_value() is None
    run.history.write_text("epoch,val_loss\n0,nan\n1,1.5\n2,1.25\n3,nan\n")
    assert run.best_value() == 1.25
