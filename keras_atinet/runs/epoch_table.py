"""What a training shows: a bar for the steps of an epoch, and a row for each epoch."""

import math
import shutil
import statistics
import time

import keras

from keras_atinet.runs.text_table import Column, TextTable, duration, number

_COMPILING = "Compiling the step: the first batch may take minutes."
_RECENT = 5  # epochs that tell the time of the next ones


class _Bar(keras.callbacks.Callback):
    """Shows what is under way on a `BottomLine`.

    No bar asks for logs or has a method for the end of a batch, for which Keras would wait for the
    device.
    """

    def __init__(self, line):
        super().__init__()
        self.line = line

    def on_train_begin(self, logs=None):
        self._num_steps = self.params.get("steps")
        # PyTorch compiles only if it is asked to.
        self._compiles = keras.backend.backend() != "torch" or self.model.jit_compile

    def _say_that_it_compiles(self):
        if self._compiles:
            self.line.text(_COMPILING)
        self._compiles = False


class TrainingBar(_Bar):
    """A bar for all steps of a training.

    Args:
        line: `BottomLine` to show it on.
    """

    def __deepcopy__(self, memo):
        return self  # KerasTuner copies the callbacks of each trial; there is one terminal.

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._say_that_it_compiles()
        self.line.begin(self._num_steps and self._num_steps * self.params["epochs"])

    def on_epoch_begin(self, epoch, logs=None):
        self._before = epoch * (self._num_steps or 0)

    def on_train_batch_begin(self, batch, logs=None):
        if self._before + batch:
            self.line.update(self._before + batch)


class EpochTable(_Bar):
    """A short row for each epoch; in a terminal, a bar for its steps and one for its evaluation.

    Time, the time that is left, `loss`, what is monitored and of each task the first of its metrics
    (its loss if it has none) on the held-out data, with a mark where the monitored is the lowest so
    far; and a line where the second phase of ATI-Net begins. Of all else `history.csv` keeps track.
    To be given last, with `fit(verbose=0)`.

    Args:
        line: `BottomLine` to show the bars on.
        num_held_out: int, batches of the evaluation, or None if unknown.
        best: float, the lowest value before of what is monitored, or None.
        monitor: str, a name in the logs.
    """

    def __init__(self, line, num_held_out=None, best=None, monitor="val_loss"):
        super().__init__(line)
        self.num_held_out = num_held_out
        self.best = math.inf if best is None else best
        self.monitor = monitor

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        metrics = {task.name: task.metrics() for task in self.model.tasks}
        headlines = [(task, found[0].name if found else "loss") for task, found in metrics.items()]
        self._logged = ["loss", self.monitor, *(f"val_{task}_{name}" for task, name in headlines)]
        epochs = self.params["epochs"]
        columns = [Column("", "epoch", 2 * len(str(epochs)) + 1)]
        columns += [Column("", "time", len("0:00:00")), Column("", "left", len("00:00:00"))]
        columns += [Column("", "loss"), Column("", self.monitor)]
        columns += [Column(task, name) for task, name in headlines]
        width = shutil.get_terminal_size().columns if self.line.is_shown else None
        self._table = TextTable(columns, width, f"lowest {self.monitor} so far")
        self._seconds, self._first_steps = [], 0.0
        self._waits_for_phase_2 = not getattr(self.model, "distillation_active", True)
        print(self._table.header(), flush=True)

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = self._part_begin = time.perf_counter()
        if self._waits_for_phase_2 and self.model.distillation_active:
            print("Phase 2: distillation is on.", flush=True)
            self._waits_for_phase_2 = False
        if self._compiles and not self.line.is_shown:
            print(_COMPILING, flush=True)
        self._say_that_it_compiles()
        self.line.begin(self._num_steps)

    def on_train_batch_begin(self, batch, logs=None):
        if batch:
            self._step_ended(batch)

    def on_test_begin(self, logs=None):
        self._part_begin = time.perf_counter()
        self.line.begin(self.num_held_out, "held-out batch")

    def on_test_batch_begin(self, batch, logs=None):
        if batch:
            self._step_ended(batch)

    def _step_ended(self, count):
        if count == 1 and not self._seconds:
            self._first_steps += time.perf_counter() - self._part_begin
        self.line.update(count)

    def on_epoch_end(self, epoch, logs=None):
        self._seconds.append(time.perf_counter() - self._begin)
        values = [(logs or {}).get(name) for name in self._logged]
        epochs, value = self.params["epochs"], values[1]
        is_best = value is not None and value < self.best
        if is_best:
            self.best = value
        left = self._time_of_an_epoch() * (epochs - epoch - 1)
        cells = [f"{epoch + 1}/{epochs}", duration(self._seconds[-1]), duration(left)]
        print(self._table.row([*cells, *map(number, values)], is_best), flush=True)

    def _time_of_an_epoch(self):
        # The first compiles, in its first steps, and is taken only where there is no other.
        if len(self._seconds) == 1:
            return self._seconds[0] - self._first_steps
        return statistics.mean(self._seconds[1:][-_RECENT:])
