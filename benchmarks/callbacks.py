"""What the callbacks of a training by the command line add to a step.

    KERAS_BACKEND=jax python benchmarks/callbacks.py

The smaller the network, the more they show: an MTAN of hardly any arithmetic. On JAX and PyTorch,
Keras calls the ends of batches from threads of their own and goes on, unless a callback that does
not say `async_safe` has a method for them; then it fetches the logs of each step, some twenty
numbers, before the next one. "Waiting" adds such a callback, which does nothing. The three take
turns, an epoch each.
"""

import argparse
import pathlib
import statistics
import tempfile
import time

import keras

import keras_atinet
from keras_atinet import runs
from keras_atinet.data import Batches, Rooms
from keras_atinet.runs.ctrl_c import Interruption

SIZE, BATCH = (32, 32), 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40, help="in an epoch")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    model = keras_atinet.MTAN(input_shape=(*SIZE, 3), filters=[4] * 5)
    model.compile(keras.optimizers.Adam(1e-3), "dwa")
    batch = next(Batches(Rooms(BATCH, SIZE), batch_size=BATCH).as_numpy_iterator())
    data = Constant(batch, arguments.steps)
    seconds = {"none": [], "of the command line": [], "waiting": []}
    with tempfile.TemporaryDirectory() as folder:
        run = runs.Run(pathlib.Path(folder))
        for turn in range(arguments.rounds + 1):
            for name, measured in seconds.items():
                callbacks = []
                if name != "none":
                    callbacks = runs.get_callbacks(run, runs.DEFAULT, model)
                if name == "waiting":
                    callbacks.append(Waiting())
                clock, interruption = Clock(), Interruption()
                callbacks = [clock, *callbacks]
                with interruption:
                    if name != "none":
                        callbacks.append(interruption)
                    model.fit(data, callbacks=callbacks, validation_data=data.head(1), verbose=0)
                if turn:  # the first compiles
                    measured.append(clock.seconds / arguments.steps)
    for name, measured in seconds.items():
        ratios = [a / b for a, b in zip(measured, seconds["none"], strict=True)]
        print(
            f"{keras.backend.backend():11}{name:20}{1000 * statistics.median(measured):8.2f} ms, "
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


class Waiting(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


class Clock(keras.callbacks.Callback):
    """The seconds of an epoch's steps."""

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = time.perf_counter()

    def on_test_begin(self, logs=None):
        # The last step may still be under way.
        keras.ops.convert_to_numpy(self.model.optimizer.iterations)
        self.seconds = time.perf_counter() - self._begin


class Constant(keras.utils.PyDataset):
    """The same batch at every step."""

    def __init__(self, batch, steps):
        super().__init__()
        self.batch, self.steps = batch, steps

    def head(self, steps):
        return Constant(self.batch, steps)

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        return self.batch


if __name__ == "__main__":
    main()
