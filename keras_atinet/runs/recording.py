"""What training writes down after each epoch, so that it can be killed at any moment."""

import csv
import pathlib
import re
import time

import keras

from keras_atinet.files import remove_unfinished, replacing

_STATE = "epoch-{:05d}.weights.h5"
_STATE_PATTERN = re.compile(r"epoch-(\d+)\.weights\.h5")


class Backup(keras.callbacks.Callback):
    """Saves weights, optimizer and balancer after each epoch, for training to go on with.

    One file, whose name has the number of finished epochs. It takes its name when it is complete,
    so that a process killed at any moment leaves the state of an epoch, never a part of it nor
    one with the wrong number. (`keras.callbacks.BackupAndRestore` writes state and number one
    after the other.)

    Args:
        folder: str or path, for these files only.

    Example:

    ```python
    backup = Backup("backup")
    first = backup.restore(model)
    model.fit(train, epochs=200, initial_epoch=first, callbacks=[backup])
    backup.discard()
    ```
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = pathlib.Path(folder)

    def epochs(self):
        """The number of finished epochs, 0 if there is no state."""
        return max(self._states(), default=0)

    def restore(self, model):
        """Gives a compiled model the saved state, if there is one.

        Returns:
            int, the number of finished epochs: the `initial_epoch` of `fit`.
        """
        states = self._states()
        if not states:
            return 0
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        model.load_weights(states[max(states)])
        return max(states)

    def discard(self):
        """Removes the state, when training is finished."""
        for path in self._states().values():
            path.unlink(missing_ok=True)
        remove_unfinished(self.folder)
        if self.folder.is_dir():
            self.folder.rmdir()

    def on_epoch_end(self, epoch, logs=None):
        older = self._states()
        with replacing(self.folder / _STATE.format(epoch + 1)) as new:
            self.model.save_weights(new, overwrite=True)
        for number, path in older.items():
            if number != epoch + 1:
                path.unlink()

    def _states(self):
        files = self.folder.iterdir() if self.folder.is_dir() else ()
        matches = [(_STATE_PATTERN.fullmatch(path.name), path) for path in files]
        return {int(match[1]): path for match, path in matches if match}


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
    """The rows of a CSV file, dicts of str; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    """Writes dicts as a CSV file. Columns are those of all rows; what a row lacks is empty."""
    columns = dict.fromkeys(name for row in rows for name in row)
    with replacing(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
