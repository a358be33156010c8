"""Trials of a search as rows: their score and the values that were tried."""

import shutil
import statistics
import sys
import time

from keras_atinet.runs.text_table import Column, TextTable, duration, number
from keras_atinet.tuning.hyper_model import has_result

_SCORE = Column("", "delta_m")


class TrialTable:
    """A row for each trial as it ends, with a mark where its score is the highest so far.

    Args:
        space: `keras_tuner.HyperParameters`, what may be tried.
        max_trials: int, of the search.
    """

    def __init__(self, space, max_trials):
        self._names, columns = columns_of(space)
        first = [Column("", "trial", 2 * len(str(max_trials)) + 1), Column("", "time")]
        self._table = table([*first, Column("", "left"), _SCORE, *columns], "highest so far")
        self._max_trials, self._seconds, self._best = max_trials, [], None
        print(self._table.header(), flush=True)

    def begin(self):
        """To be called when a trial begins."""
        self._begin = time.perf_counter()

    def end(self, trial):
        """Prints the row of a trial; one that failed has the score "-"."""
        self._seconds.append(time.perf_counter() - self._begin)
        is_best = has_result(trial) and (self._best is None or trial.score > self._best)
        if is_best:
            self._best = trial.score
        count = int(trial.trial_id) + 1  # KerasTuner's are 00, 01 and so on
        left = statistics.mean(self._seconds) * max(0, self._max_trials - count)
        first = [f"{count}/{self._max_trials}", duration(self._seconds[-1]), duration(left)]
        row = [*first, number(trial.score), *values_of(trial, self._names)]
        print(self._table.row(row, is_best), flush=True)


def best_trials(trials, space):
    """Lines of a table of trials that are done."""
    names, columns = columns_of(space)
    best = table([_SCORE, *columns])
    rows = [[number(trial.score), *values_of(trial, names)] for trial in trials]
    return [best.header(), *map(best.row, rows)]


def columns_of(space):
    """Names and columns of the hyperparameters that vary."""
    choices = {p.name: set(p.values) for p in space.space}
    varied = [
        p.name
        for p in space.space
        # The conditions are on others, the temperature's that the balancer is "dwa".
        if len(choices[p.name]) > 1
        and all(choices.get(c.name, set()) & set(c.values) for c in p.conditions)
    ]
    widths = [max(len(shown(value)) for value in choices[name]) for name in varied]
    return varied, [Column("", name, width) for name, width in zip(varied, widths, strict=True)]


def values_of(trial, names):
    """What was tried, as texts; "-" for a hyperparameter that others leave without effect."""
    values = trial.hyperparameters.values
    return [shown(values[name]) if name in values else "-" for name in names]


def table(columns, legend=""):
    """A `TextTable` for standard output."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return TextTable(columns, width, legend)


def shown(value):
    """A value of a hyperparameter as text."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
