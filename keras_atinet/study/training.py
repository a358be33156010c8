"""Trains a run of a study and scores it."""

import math
import statistics

import keras

from keras_atinet import evaluation, runs
from keras_atinet.data.preparation.locking import only_one
from keras_atinet.evaluation.results import to_json
from keras_atinet.files import make_folder, write_json
from keras_atinet.runs.recording import read_rows, write_rows
from keras_atinet.study.planning import scored_epochs

SCORES = "scores.csv"
RESULTS = "results.json"


class TestScores(keras.callbacks.Callback):
    """Writes losses and metrics on other data than `validation_data` after each of some epochs.

    Args:
        path: `pathlib.Path` of the CSV file, a row for each epoch.
        batches: dataset of `(images, targets)`.
        epochs: range of int, the epochs (from 0).
    """

    def __init__(self, path, batches, epochs):
        super().__init__()
        self.path, self.batches, self.epochs = path, batches, epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch not in self.epochs:
            return
        scores = self.model.evaluate(self.batches, return_dict=True, verbose=0)
        kept = [row for row in read_rows(self.path) if int(row["epoch"]) < epoch]
        write_rows(self.path, [*kept, {"epoch": epoch, **scores}])


def train_trial(run, settings, command, verbose=None, report=print, callbacks=()):
    """Trains or resumes a run, and writes its scores to `results.json`.

    Args:
        run: `runs.Run`.
        settings: dict with the keys of `runs.DEFAULT`, from a `Trial`.
        command: str for `config.json`.
        verbose: as for `runs.train`.
        report: function that takes a line of text before training begins.
        callbacks: further callbacks, as for `runs.train`.

    Raises:
        ValueError: if the run was begun on another backend.
        FileExistsError: if another process trains this run.
    """
    if (run.path / RESULTS).is_file():
        return
    make_folder(run.path)
    with only_one(run.path / "lock", "trains this run"):
        if not (run.config.exists() and run.is_finished()):
            _check_backend(run)
            scores = [_test_scores(run, settings)] if settings["hold_out"] else []
            runs.train(run, settings, command, verbose, report, [*callbacks, *scores])
        run.finish()
        results = _results(run, settings)
        write_json(run.path / RESULTS, to_json(results))


def _check_backend(run):
    used = run.read_config()["versions"]["backend"] if run.config.exists() else None
    if used not in (None, keras.backend.backend()):
        raise ValueError(
            "A run is finished on the backend that it was begun on. "
            f"Received: '{run.path}', begun on '{used}'. Add `--backend {used}`."
        )


def _test_batches(settings, tasks):
    source = runs.get_sources(settings).test
    return runs.get_batches(source, tasks, settings["image_size"], settings["batch_size"])


def _test_scores(run, settings):
    source = runs.get_sources(settings).test
    tasks = runs.get_tasks(source, settings["tasks"], averaging=settings["averaging"])
    batches = _test_batches(settings, tasks)
    return TestScores(run.path / SCORES, batches, scored_epochs(settings["epochs"]))


def _results(run, settings):
    rows = run.rows()
    model = runs.load_model(run.best)
    results = {
        "parameters": runs.count_parameters(model),
        "seconds": sum(float(row["seconds"]) for row in rows),
        "seconds_per_epoch": statistics.median(float(row["seconds"]) for row in rows),
        "scores": {"paper": _last_scores(run, settings, model.tasks)},
    }
    if settings["hold_out"]:
        best = min(rows, key=lambda row: _or_infinity(float(row["val_loss"])))
        results["chosen_epoch"] = int(best["epoch"]) + 1
        batches = _test_batches(settings, model.tasks)
        classes = evaluation.ClassScores(model.tasks)
        clean = evaluation.evaluate(model, batches, "pixel", on_batch=classes)
        results["scores"]["clean"] = clean
        results["class_iou"] = {"clean": classes.iou()}
    return results


def _last_scores(run, settings, tasks):
    # Where nothing is held out, `fit` itself evaluated the test data after each epoch.
    file, prefix = (run.path / SCORES, "") if settings["hold_out"] else (run.history, "val_")
    epochs = scored_epochs(settings["epochs"])
    rows = [row for row in read_rows(file) if int(row["epoch"]) in epochs]
    return {
        task.name: {
            name: statistics.fmean(float(row[f"{prefix}{task.name}_{name}"]) for row in rows)
            for name in ("loss", *(metric.name for metric in task.metrics()))
        }
        for task in tasks
    }


def _or_infinity(loss):
    return math.inf if math.isnan(loss) else loss
