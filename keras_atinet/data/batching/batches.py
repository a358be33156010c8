"""From a source to batches, without TensorFlow."""

import keras

from keras_atinet.data.batching.epochs import Epochs
from keras_atinet.data.batching.parallel import default_workers
from keras_atinet.data.batching.read_ahead import ReadAhead
from keras_atinet.data.batching.sampler import Sampler
from keras_atinet.data.batching.samples import get_samples


class Batches(keras.utils.PyDataset):
    """Makes batches for `fit`, `evaluate` and `predict` from a source, as a `PyDataset`.

    The same batches in the same order as those of `pipeline`, which describes the arguments and
    the epochs, made ahead by threads or processes.

    The queue that Keras puts before a `PyDataset` is not used: what it has read when an epoch
    breaks off, or when Keras takes one batch to build the model, it hands out in the next one.

    Args:
        source, split, image_size, batch_size, tasks, augment, shuffle, seed, cache,
            drop_remainder, first_epoch, shard, on_error: as for `pipeline`.
        workers: int, number of threads or processes that read ahead, or None for one per core, at
            most 8. With 0 each batch is made when it is asked for.
        use_multiprocessing: bool, processes instead of threads: for a source or an `augment` that
            spends its time in Python. They start anew (in seconds), so the source and `augment`
            must pickle, and a script needs its `if __name__ == "__main__":`.

    Attributes:
        tasks: dict, task key -> facts, as in `Source.tasks`, of the targets.
        epochs: as for `pipeline`.

    Raises:
        ValueError: as for `pipeline`; if `cache` is asked of processes, which share no memory.

    Example:

    ```python
    rooms = Rooms(num_samples=512)
    model.fit(Batches(rooms, batch_size=8, shuffle=True, augment=True, cache=True))
    ```
    """

    def __init__(
        self,
        source,
        split=None,
        image_size=None,
        batch_size=8,
        tasks=None,
        augment=False,
        shuffle=False,
        seed=0,
        cache=False,
        drop_remainder=False,
        *,
        first_epoch=0,
        shard=(0, 1),
        on_error="raise",
        workers=None,
        use_multiprocessing=False,
    ):
        super().__init__()
        if cache and use_multiprocessing:
            raise ValueError(
                "Processes share no memory to cache samples in. "
                "Received: cache=True, use_multiprocessing=True. Choose one of them."
            )
        samples = get_samples(source, split, image_size, tasks, cache)
        self.tasks = samples.tasks
        self._sampler = Sampler(
            samples,
            batch_size,
            augment=augment,
            shuffle=shuffle,
            seed=seed,
            drop_remainder=drop_remainder,
            shard=shard,
            on_error=on_error,
        )
        self._reading = default_workers() if workers is None else workers, use_multiprocessing
        self._reader = ReadAhead(self._sampler, *self._reading)
        self.epochs = Epochs(first_epoch)
        self._within_epoch, self._latest = False, None

    def __len__(self):
        return len(self._sampler)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches. Received: index={index}.")
        self._latest = index
        first = self.epochs.next * len(self)
        return self._reader.batch(first + index, first + len(self))

    def on_epoch_begin(self):
        self._within_epoch = True

    def on_epoch_end(self):
        # A pass may take several epochs of Keras, which also ends epochs that never began.
        if self._within_epoch and self._latest == len(self) - 1:
            self.epochs.next += 1
            self._latest = None
        self._within_epoch = False

    def as_numpy_iterator(self):
        """Iterates over a pass, as the method of `tf.data.Dataset` does."""
        epoch = self.epochs.next
        first, stop = epoch * len(self), (epoch + 1) * len(self)
        for number in range(first, stop):
            batch = self._reader.batch(number, stop)
            if number == stop - 1:
                self.epochs.next = epoch + 1
            yield batch

    __iter__ = as_numpy_iterator

    def stream(self, steps_per_epoch):
        """Pass after pass without an end, for a `fit` with `steps_per_epoch`."""
        return _Stream(ReadAhead(self._sampler, *self._reading), self.epochs, steps_per_epoch)


class _Stream(keras.utils.PyDataset):
    num_batches = None

    def __init__(self, reader, epochs, steps_per_epoch):
        super().__init__()
        self._reader, self._epochs, self._steps = reader, epochs, steps_per_epoch

    def __getitem__(self, index):
        # Keras begins at 0 when it takes batches to build the model, and anew when it trains.
        if index == 0:
            self._first = self._epochs.next * self._steps
        return self._reader.batch(self._first + index)
