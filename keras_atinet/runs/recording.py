"""What training writes down after each epoch, so that it can be killed at any moment."""

import contextlib
import csv
import json
import os
import pathlib
import re
import shutil
import time
import zipfile

import keras

from keras_atinet.files import remove_unfinished, replacing
from keras_atinet.models.saving import damage

_STATE = "epoch-{:05d}.keras"
# Before, states were weights only.
_STATE_PATTERN = re.compile(r"epoch-(\d+)\.(keras|weights\.h5)")
_KEPT = 2
USE_THE_MODELS = (
    "Put it back from a copy, or begin a new run; the models of this one can be used as they are."
)


class Backup(keras.callbacks.Callback):
    """Keeps the model after each epoch, with optimizer and balancer, for training to resume from.

    One file for each of the last two epochs; its name has the number of finished epochs. It takes
    its name when it is complete, so that a process killed at any moment leaves the state of an
    epoch, never a part of it nor one with the wrong number. (`keras.callbacks.BackupAndRestore`
    writes state and number one after the other.) The older one is for where the newer is damaged.

    Args:
        folder: str or path, for these files only.
        last: optional path of a `.keras` file that a callback before this one writes after each
            epoch. It is kept as the state, by a second name of the same file where the system has
            such, and nothing is written twice.

    Example:

    ```python
    backup = Backup("backup")
    first = backup.restore(model)
    model.fit(train, epochs=200, initial_epoch=first, callbacks=[backup])
    backup.discard()
    ```
    """

    def __init__(self, folder, last=None):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.last = last

    def epochs(self):
        """The number of finished epochs, 0 if there is no state."""
        return max(self._states(), default=0)

    def network_config(self):
        """What the newest state that is not damaged says of its network, a dict, maybe empty."""
        for _, path in sorted(self._states().items(), reverse=True):
            if path.suffix == ".keras" and not damage(path):
                with zipfile.ZipFile(path) as archive:
                    return json.loads(archive.read("config.json"))["config"]
        return {}

    def restore(self, model, report=print):
        """Gives a compiled model the newest saved state that is not damaged, if there is one.

        Args:
            model: a compiled `keras.Model`.
            report: function that takes a line of text about a state that is damaged.

        Returns:
            int, the number of finished epochs: the `initial_epoch` of `fit`.

        Raises:
            ValueError: if there are states, but all are damaged.
        """
        states = self._states()
        for number in sorted(states, reverse=True):
            found = states[number].suffix == ".keras" and damage(states[number])
            if found:
                report(f"The state after epoch {number} is damaged: '{states[number]}' ({found}).")
                continue
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
            try:
                model.load_weights(states[number])
            except ValueError as error:
                raise ValueError(
                    "A state does not fit the network that the settings describe. "
                    f"Received: '{states[number]}' ({_first_line(error)}). Were they changed?"
                ) from error
            if number < max(states):
                report(f"Training resumes after epoch {number}.")
            return number
        if states:
            raise ValueError(
                f"There is no state to resume from: all are damaged. Received: '{self.folder}'. "
                f"{USE_THE_MODELS}"
            )
        return 0

    def discard(self):
        """Removes the states, when training is finished."""
        for path in self._states().values():
            path.unlink(missing_ok=True)
        remove_unfinished(self.folder)
        if self.folder.is_dir():
            # What others have put there stays.
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def on_epoch_end(self, epoch, logs=None):
        with replacing(self.folder / _STATE.format(epoch + 1)) as new:
            if self.last is None:
                self.model.save(new)
            else:
                _link(self.last, new)
        for number, path in self._states().items():
            if not epoch + 1 - _KEPT < number <= epoch + 1:
                path.unlink()

    def _states(self):
        files = sorted(self.folder.iterdir()) if self.folder.is_dir() else ()
        matches = [(_STATE_PATTERN.fullmatch(path.name), path) for path in files]
        return {int(match[1]): path for match, path in matches if match}


def _first_line(error):
    return str(error).strip().partition("\n")[0]


def _link(path, new):
    try:
        os.link(path, new)
    except OSError:  # a file system without it
        shutil.copyfile(path, new)


class Checkpoint(keras.callbacks.ModelCheckpoint):
    """`keras.callbacks.ModelCheckpoint` after each epoch, at no cost for a step."""

    # It does nothing at the end of a batch, but has a method for it, for which Keras would wait
    # for the device and fetch the logs of each batch.
    async_safe = True


class History(keras.callbacks.Callback):
    """Writes a row with the logs of each epoch; rows of that epoch and of later ones go.

    Like `keras.callbacks.CSVLogger`, but the file is complete at any moment, and a `fit` that goes
    on may log other values than the first.

    Args:
        path: str or path of the CSV file.
    """

    def __init__(self, path):
        super().__init__()
        self.path = pathlib.Path(path)

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch, **{name: logs[name] for name in sorted(logs or {})}}
        kept = [row for row in read_rows(self.path) if int(row["epoch"]) < epoch]
        write_rows(self.path, [*kept, row])


class TrainingTime(keras.callbacks.Callback):
    """Logs the seconds that an epoch trained, without its evaluation, as `seconds`."""

    def on_epoch_begin(self, epoch, logs=None):
        self._begin, self._seconds = time.perf_counter(), None

    def on_test_begin(self, logs=None):
        self._stop()

    def on_epoch_end(self, epoch, logs=None):
        self._stop()
        logs["seconds"] = round(self._seconds, 3)

    def _stop(self):
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._begin


def read_rows(path):
    """The rows of a table of epochs, dicts of str; none if there is no file.

    Args:
        path: `pathlib.Path` of a CSV file: numbers, the first column `epoch`.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            if "epoch" not in (reader.fieldnames or ()):
                raise ValueError("it has no column 'epoch'")
            epochs = [int(row["epoch"]) for row in rows]
            if epochs != sorted(set(epochs)):
                raise ValueError("its epochs are not in order")
            for row in rows:
                # `DictReader` gives what is missing as `None`, what is too much by the key `None`.
                if None in row or None in row.values():
                    raise ValueError(f"the row of epoch {row['epoch']} is cut short, or too long")
                [float(value) for value in row.values() if value != ""]
    except (OSError, csv.Error, KeyError, TypeError, ValueError) as error:
        # A link that leads nowhere is no missing file.
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return []
        raise ValueError(
            f"A table of epochs is damaged. Received: '{path}' ({error}). Put it back from a copy, "
            "or remove it: what is known of the epochs so far is lost then, and the next one "
            "counts as the best."
        ) from error
    return rows


def write_rows(path, rows):
    """Writes dicts as a CSV file. Columns are those of all rows; what a row lacks is empty."""
    columns = dict.fromkeys(name for row in rows for name in row)
    with replacing(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
