"""Damages files of runs: what is resumed ends as if undisturbed, or there is an error."""

import contextlib
import csv
import pathlib
import shutil

import keras
import numpy as np
from mutation_commands import Endless, at_most, complaint, formatted, run_command
from mutation_forms import SIZE
from mutation_kinds import LOOSE, STRICT, chosen, odd_value

from keras_atinet import runs
from keras_atinet.internals import tensorflow_only_if_imported

EPOCHS = 3
OPTIONS = ["--model", "split", "--num-samples", 8, "--verbose", 0, "--hold-out", 0]
OPTIONS += ["--image-size", *SIZE, "--filters", *[4] * 5]


def trained(folder, epochs=1):
    """A run folder, hardly trained."""
    status, text = run_command("train", "--out", folder, "--epochs", epochs, *OPTIONS)
    assert status == 0, text
    return folder


class _Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == EPOCHS - 1:
            raise KeyboardInterrupt


class RunChecker:
    """Mutates a file of a run that was stopped before its last epoch; as `DataChecker`."""

    def __init__(self, folder):
        self.good_root, self.root = folder / "run-stopped", folder / "run-mutated"
        finished = trained(folder / "run-finished", EPOCHS)
        settings = {**runs.Run(finished).read_settings(), "epochs": EPOCHS}
        with tensorflow_only_if_imported(), contextlib.suppress(KeyboardInterrupt):
            runs.train(runs.Run(self.good_root), settings, "", 0, _ignore, [_Stop()])
        self.history = _history(finished)
        shutil.copytree(self.good_root, self.root)
        self.scores = self._evaluate()[1]

    def check(self, rng):
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.good_root, self.root)
        path, mutation = chosen(self.root, rng)
        done = f"{mutation.__name__} {path.relative_to(self.root)}"
        mutation(path, rng, self.root)
        if mutation is odd_value:
            done += f": {path.read_text()[:900]}"
        # Other settings are other data and another training; the table has no checksum.
        exact = path.name != "config.json" and (path.suffix == ".keras" or mutation in STRICT)
        wrong, failed = [], False
        try:
            with at_most():
                status, scores = self._evaluate()
                wrong += complaint("evaluate", status, scores)
                if status == 0 and exact and scores != self.scores:
                    wrong.append(f"other scores, {scores}, not {self.scores}")
                wrong += complaint("info", *run_command("info", self.root))
                status, text = run_command("train", "--resume", self.root, "--verbose", 0)
                wrong += complaint("train --resume", status, text, (0, 1, 2))
                failed = bool(status)
                if status == 0 and exact:
                    wrong += self._ends_otherwise(mutation)
        except (Exception, Endless):
            wrong.append(formatted())
        return done, wrong, failed

    def _evaluate(self):
        status, text = run_command("evaluate", "--model", self.root)
        # Without the line on the file, which may be named otherwise.
        return status, text if status else "".join(text.splitlines(True)[1:])

    def _ends_otherwise(self, mutation):
        history = _history(self.root)
        rows = history if mutation in LOOSE else history[-1:]
        expected = self.history[-len(rows) :]
        if not (len(rows) == len(expected) and np.allclose(rows, expected, rtol=1e-4)):
            yield f"the resumed run has the losses {rows}, not {expected}"


def _history(folder):
    with pathlib.Path(folder, "history.csv").open(newline="") as file:
        return [float(row["val_loss"]) for row in csv.DictReader(file)]


def _ignore(text):
    pass
