"""The folder that a run writes."""

import math
import pathlib

import keras

from keras_atinet.files import remove_unfinished, write_json
from keras_atinet.models.saving import damage
from keras_atinet.runs.config import read_config
from keras_atinet.runs.environment import machine, versions
from keras_atinet.runs.patience import Patience
from keras_atinet.runs.recording import USE_THE_MODELS, Backup, read_rows, write_rows
from keras_atinet.runs.schedules import second_phase
from keras_atinet.settings import BEST_BY, DEFAULT, complete


class Run:
    """The files of one training run.

    `config.json` (settings, versions, machine, command), `history.csv` (a row for each epoch),
    `best.keras` (the best on the held-out samples), `last.keras`, `predictions.png`; and
    `backup/`, the state to resume from, while the run is not finished; `tensorboard/` by request.

    Args:
        path: str or path of the folder.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.config = self.path / "config.json"
        self.history = self.path / "history.csv"
        self.best = self.path / "best.keras"
        self.last = self.path / "last.keras"
        self.predictions = self.path / "predictions.png"
        self.tensorboard = self.path / "tensorboard"
        self.backup = Backup(self.path / "backup", self.last)

    def create(self, settings, command):
        config = {"settings": settings, "versions": versions(), "machine": machine()}
        config["command"] = command
        write_json(self.config, config)

    def change_settings(self, **settings):
        """Changes settings in the config, for epochs that are still to be trained."""
        config = self.read_config()
        config["settings"].update(settings)
        write_json(self.config, config)

    def finish(self):
        """Removes what only a training that goes on needs, and what a kill left half written."""
        self.backup.discard()
        remove_unfinished(self.path)

    def read_config(self):
        """What `create` wrote.

        Raises:
            FileNotFoundError: if the folder is not a run.
            ValueError: if the file is damaged.
        """
        if not self.config.is_file():
            raise FileNotFoundError(
                "A run folder holds the file config.json, which `keras-atinet train` writes. "
                f"Received: '{self.path}', which does not."
            )
        return read_config(self.config)

    def read_settings(self):
        """The settings of the run, with the keys of `DEFAULT`."""
        return complete(self.read_config()["settings"])

    def rows(self):
        """The rows of the history, dicts of str."""
        return read_rows(self.history)

    def monitor(self):
        """The name in the logs of what the best epoch has the lowest of."""
        # A run that is not yet created has the default.
        settings = self.read_settings() if self.config.exists() else DEFAULT
        return BEST_BY[settings["best_by"]]

    def best_row(self):
        """The row of the epoch that is the best on the held-out samples, or None if none is."""
        monitor = self.monitor()
        rows = [row for row in self.rows() if not math.isnan(_value(row, monitor))]
        return min(rows, key=lambda row: _value(row, monitor), default=None)

    def is_finished(self):
        """Whether all epochs are done, or enough of them brought no gain (`patience`).

        The row of an epoch is written after its models.
        """
        rows, settings = self.rows(), self.read_settings()
        if not rows or int(rows[-1]["epoch"]) == settings["epochs"] - 1:
            return bool(rows)
        patience = settings["patience"]
        if not patience:
            return False
        return Patience(patience, second_phase(settings), rows, self.monitor()).is_over()

    def saved_encoder(self):
        """The encoder of the network in the state to resume from, or None, for `get_model`.

        What it was made from, a file or a package with weights, need not be there any more.
        """
        config = self.backup.network_config().get("encoder")
        return config and keras.saving.deserialize_keras_object(config)

    def restore(self, model, report=print):
        """Gives a compiled model the state to resume from, and drops what the history has beyond.

        Args:
            model: `MultiTaskModel`.
            report: function that takes a line of text about a file that is damaged.

        Returns:
            int, the number of finished epochs.

        Raises:
            ValueError: if there were finished epochs, but no state of them can be read.
        """
        first = self.backup.restore(model, report)
        # The first row may be there before the first state.
        if not first and len(self.rows()) > 1:
            raise ValueError(
                f"There is no state to resume from. Received: '{self.backup.folder}', which is "
                f"missing or empty, after {len(self.rows())} epochs. {USE_THE_MODELS}"
            )
        self.forget_after(first)
        found = self.best.is_file() and damage(self.best)
        if found:
            report(f"The next epoch replaces a damaged file: '{self.best}' ({found}).")
        return first

    def forget_after(self, epoch):
        """Drops what the history says of `epoch` and later ones, which will be trained again."""
        rows = self.rows()
        kept = [row for row in rows if int(row["epoch"]) < epoch]
        if kept:
            write_rows(self.history, kept)
        else:
            self.history.unlink(missing_ok=True)

    def best_value(self):
        """What `best.keras` has of the `monitor`, or None if there is no such file or value yet."""
        if not self.best.is_file() or damage(self.best):
            return None
        # NaN, where no pixel was valid or the network predicted NaN, is the best of nothing.
        row = self.best_row()
        return None if row is None else _value(row, self.monitor())


def _value(row, name):
    return float(row.get(name) or "nan")
