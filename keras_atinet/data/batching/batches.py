"""From a source to batches, without TensorFlow."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import keras

from keras_atinet.data.batching.epochs import Epochs
from keras_atinet.data.batching.sampler import Sampler
from keras_atinet.data.batching.tensorflow_pipeline import default_workers


class Batches(keras.utils.PyDataset):
    """Makes batches for `fit`, `evaluate` and `predict` from a source, as a `PyDataset`.

    The same batches in the same order as those of `pipeline`, which describes the arguments, made
    ahead by threads or processes. Each epoch of a `fit` is the next epoch of the data, unless it
    ends after one or two batches; `epochs.next` is the one that comes next, and can be set.

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
        data = source, split, image_size, batch_size, tasks
        order = augment, shuffle, seed, cache, drop_remainder, shard, on_error
        self._sampler = Sampler(*data, *order)
        self._num_workers = default_workers() if workers is None else workers
        self._in_processes = use_multiprocessing
        self.epochs = Epochs(first_epoch, len(self._sampler))
        self._furthest = None
        self._pool, self._ahead = None, {}

    def __len__(self):
        return len(self._sampler)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches. Received: index={index}.")
        if self._furthest is not None:
            self._furthest = max(self._furthest, index)
        if not self._num_workers:
            return self._sampler.batch(self.epochs.next, index)
        wanted = range(index, min(index + self._num_workers + 1, len(self)))
        wanted = [(self.epochs.next, number) for number in wanted]
        for stale in self._ahead.keys() - set(wanted):
            self._ahead.pop(stale).cancel()
        for key in wanted:
            if key not in self._ahead:
                self._ahead[key] = self._submit(*key)
        return self._ahead.pop(wanted[0]).result()

    def on_epoch_begin(self):
        self._furthest = -1

    def on_epoch_end(self):
        # Keras also ends epochs that never began.
        if self._furthest is not None:
            self.epochs.reached(self.epochs.next, self._furthest)
        self._furthest = None

    def as_numpy_iterator(self):
        """Iterates over an epoch, as the method of `tf.data.Dataset` does."""
        self.on_epoch_begin()
        try:
            for number in range(len(self)):
                yield self[number]
        finally:
            self.on_epoch_end()

    def __getstate__(self):
        return {**self.__dict__, "_pool": None, "_ahead": {}}

    def _submit(self, epoch, number):
        if self._pool is None and self._in_processes:
            # A fork of a process with threads, which every backend has, may hang.
            context = multiprocessing.get_context("spawn")
            arguments = {"initializer": _receive, "initargs": (self._sampler,)}
            self._pool = ProcessPoolExecutor(self._num_workers, context, **arguments)
        elif self._pool is None:
            self._pool = ThreadPoolExecutor(self._num_workers)
        make = _make if self._in_processes else self._sampler.batch
        return self._pool.submit(make, epoch, number)


def _receive(sampler):
    global _SAMPLER
    _SAMPLER = sampler


def _make(epoch, number):
    return _SAMPLER.batch(epoch, number)
