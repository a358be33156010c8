"""`fit` on an accelerator: its speed on one batch over and over and from an input pipeline."""

import statistics
import time

import device
import keras
from flops import count_flops
from keras_contender import Training, make_model

from keras_atinet.data import Batches, Rooms, Source, open_source, pipeline

ROOMS = 32
PRODUCT_SIZES = {True: 8192, False: 1024}  # on an accelerator, and to try it on a CPU


class Fit(Training):
    """A network trained by `fit`, as users do it."""

    def measure(self, steps, epochs, data=None):
        """Times `fit` on one batch and from a pipeline that reads and augments samples.

        Args:
            steps: int, train steps of an epoch.
            epochs: int, timed epochs after a first one.
            data: path of a data set, or None for rooms kept in memory.

        Returns:
            Dict: `first_step`, `step` and `fed_step` in seconds, `utilization` (arithmetic of
            the network in the fed step by that of matrix products), `memory` in bytes or None.
        """
        workload = self.workload
        samples = list(Rooms(ROOMS, workload.image_size)) if data is None else open_source(data)
        fed = (pipeline if device.BACKEND == "tensorflow" else Batches)(
            Repeated(samples, steps * workload.batch_size),
            image_size=workload.image_size,
            batch_size=workload.batch_size,
            tasks=self.model.tasks,
            augment=True,
            shuffle=True,
        )
        first_step, step = self._time(Constant(self.batch, steps), epochs)
        _, fed_step = self._time(fed, epochs)
        memory = device.peak_memory()
        size = PRODUCT_SIZES[memory is not None]
        flops = workload.batch_size * count_flops(make_model(workload))[1]
        peak = device.product_rate(workload.compute_dtype, size)
        return {
            "first_step": first_step,
            "step": step,
            "fed_step": fed_step,
            "utilization": flops / fed_step / peak,
            "memory": memory,
        }

    def _time(self, batches, epochs):
        clock = Clock()
        self.model.fit(batches, epochs=1 + epochs, callbacks=[clock], verbose=0, shuffle=False)
        return clock.first_step, statistics.median(clock.steps[1:])


class Clock(keras.callbacks.Callback):
    """Seconds of the first step of all, and of a step in each epoch."""

    async_safe = True  # reads logs only

    def __init__(self):
        super().__init__()
        self.first_step, self.steps = None, []

    def on_train_begin(self, logs=None):
        self._begin = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        self._count = 0

    def on_train_batch_end(self, batch, logs=None):
        # Steps in between run on: a device that waits for Python is not busy.
        self._count += 1
        if self._count in (1, self.params["steps"]):
            float(logs["loss"])  # waits for the device
            now = time.perf_counter()
            if self._count == 1:
                self._first = now
            else:
                self.steps.append((now - self._first) / (self._count - 1))
            if self.first_step is None:
                self.first_step = now - self._begin


class Constant(keras.utils.PyDataset):
    """The same batch at every step."""

    def __init__(self, batch, steps):
        super().__init__()
        self.batch, self.steps = batch, steps

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        return self.batch


class Repeated(Source):
    """Samples, over and over, until there are as many as asked for."""

    def __init__(self, samples, size):
        self.samples, self.size = samples, size
        self.tasks = getattr(samples, "tasks", Rooms.tasks)

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        sample = self.samples[self._position(index) % len(self.samples)]
        return {key: array.copy() for key, array in sample.items()}
