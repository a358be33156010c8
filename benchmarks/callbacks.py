"""What the callbacks of a training by the command line cost in a step.

    KERAS_BACKEND=jax python benchmarks/callbacks.py

On JAX and PyTorch, Keras calls the ends of batches from threads of their own and goes on, unless a
callback that does not say `async_safe` has a method for them: then it fetches the logs of each
step, some twenty numbers, before the next one. "Waiting" has one more such callback, which does
nothing. The three take turns, an epoch each, on a network of hardly any arithmetic: the smaller it
is, the more they show. Measured are the time that a step spends in callbacks, on the thread that
trains, and whole steps.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import tempfile
import time

import keras
from data import Constant

import keras_atinet
from keras_atinet import runs
from keras_atinet.data import Batches, Rooms
from keras_atinet.runs.bottom_line import BottomLine
from keras_atinet.runs.ctrl_c import Interruption
from keras_atinet.runs.epoch_table import EpochTable

SIZE, BATCH = (32, 32), 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30, help="in an epoch")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    model = keras_atinet.Split(input_shape=(*SIZE, 3), filters=[4] * 5)
    model.compile(keras.optimizers.Adam(1e-3), "dwa")
    batch = next(Batches(Rooms(BATCH, SIZE), batch_size=BATCH).as_numpy_iterator())
    data, held_out = Constant(*batch, arguments.steps), Constant(*batch, 1)
    measured = {"none": [], "of the command line": [], "waiting": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        Interruption() as interruption,
        open(os.devnull, "w", encoding="utf-8") as shown,
        contextlib.redirect_stdout(shown),
    ):
        run, clock, line = runs.Run(pathlib.Path(folder)), Clock(), BottomLine()
        line.is_shown = True  # as in a terminal
        for turn in range(arguments.rounds + 1):
            own = [*runs.get_callbacks(run, runs.DEFAULT, model), interruption, EpochTable(line)]
            kinds = ([], own, [*own, Waiting()])
            for rounds, callbacks in zip(measured.values(), kinds, strict=True):
                callbacks = [clock, *callbacks]
                model.fit(data, callbacks=callbacks, validation_data=held_out, verbose=0)
                if turn:  # the first compiles
                    rounds.append([1000 * s / arguments.steps for s in clock.seconds()])
    for name, rounds in measured.items():
        within, whole = (list(column) for column in zip(*rounds, strict=True))
        ratios = [a[1] / b[1] for a, b in zip(rounds, measured["none"], strict=True)]
        print(
            f"{keras.backend.backend():11}{name:20}"
            f"{statistics.median(within):7.2f} ms ({min(within):.2f} to {max(within):.2f}) of "
            f"{statistics.median(whole):7.2f}; whole steps {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f})"
        )


class Waiting(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


class Clock(keras.callbacks.Callback):
    """The seconds of an epoch's steps, and those within callbacks of them."""

    def __init__(self):
        super().__init__()
        for name in ("on_train_batch_begin", "on_train_batch_end"):
            self._time(keras.callbacks.CallbackList, name)

    def _time(self, kind, name):
        method = getattr(kind, name)

        def timed(*arguments):
            begin = time.perf_counter()
            method(*arguments)
            self._within += time.perf_counter() - begin

        setattr(kind, name, timed)

    def on_epoch_begin(self, epoch, logs=None):
        self._begin, self._within = time.perf_counter(), 0.0

    def on_test_begin(self, logs=None):
        # The last step may still be under way.
        keras.ops.convert_to_numpy(self.model.optimizer.iterations)
        self._whole = time.perf_counter() - self._begin

    def seconds(self):
        return self._within, self._whole


if __name__ == "__main__":
    main()
