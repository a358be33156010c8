"""Which samples make which batch: the order, the augmentation and the arrays."""

import functools
import warnings

import numpy as np

from keras_atinet.data.batching.buffer_pool import BufferPool
from keras_atinet.data.kinds import missing_value
from keras_atinet.data.transforms.augmentation import get_augmentation

_UNREADABLE = (ValueError, OSError)


class Sampler:
    """Makes any batch of an endless stream: all passes over the samples, one after the other.

    Batch `number` belongs to the pass `number // len(sampler)`. The order of a pass is a
    permutation drawn from `(seed, pass)`; the augmentation of a sample is drawn from
    `(seed, pass, index)`. So a batch is the same whenever and wherever it is asked for.

    Args:
        samples: `Source` with an `image_size` and the tasks of the batches, see `get_samples`.
        batch_size, augment, shuffle, seed, drop_remainder, shard, on_error: as for `pipeline`.

    Attributes:
        pixels: dict, `image` and task keys -> one missing pixel, which has the dtype and, after
            `(H, W)`, the shape of the array.
        image_size: `(height, width)` of the batches.
        skipped: set of the indices of samples that could not be read.
    """

    def __init__(
        self,
        samples,
        batch_size,
        *,
        augment=False,
        shuffle=False,
        seed=0,
        drop_remainder=False,
        shard=(0, 1),
        on_error="raise",
    ):
        _check_arguments(samples, batch_size, shard, on_error)
        self.image_size = samples.image_size
        self.pixels = {"image": np.zeros(3, np.float32)}
        for key, facts in samples.tasks.items():
            self.pixels[key] = missing_value(key, facts)
        self.skipped = set()
        self._samples = samples
        self._functions = get_augmentation(augment, samples.tasks)
        self._batch_size, self._drop_remainder = batch_size, drop_remainder
        self._shuffle, self._seed = shuffle, seed
        self._shard, self._on_error = shard, on_error
        # For as many batches as are made ahead or wait to be taken.
        self._buffers = BufferPool(16 * len(self.pixels))

    def __len__(self):
        """The number of batches in a pass."""
        count = len(self._samples) // self._shard[1]
        return count // self._batch_size if self._drop_remainder else -(-count // self._batch_size)

    def batch(self, number):
        """Batch `number` of the stream, from 0: `(images, targets)`, see `pipeline`, in NumPy."""
        epoch, position = divmod(number, len(self))
        indices = self._order(epoch)[position * self._batch_size :][: self._batch_size]
        arrays = {
            key: self._buffers.empty((len(indices), *self.image_size, *pixel.shape), pixel.dtype)
            for key, pixel in self.pixels.items()
        }
        for row, index in enumerate(indices):
            sample = self._sample(epoch, int(index))
            for key, array in arrays.items():
                if key in sample:
                    _check_shape(key, sample[key], array[row])
                array[row] = sample.get(key, self.pixels[key])
        return arrays.pop("image"), arrays

    def _order(self, epoch):
        # The indices of a pass, those of this shard. All shards have as many samples, so as many
        # steps.
        count = len(self._samples)
        order = _permutation(count, self._seed, epoch) if self._shuffle else range(count)
        index, shards = self._shard
        return order[index::shards][: count // shards]

    def _sample(self, epoch, index):
        # Absent tasks are absent.
        sample = self._read(index)
        if self._functions:
            rng = np.random.default_rng((self._seed, epoch, index))
            for function in self._functions:
                sample = function(sample, rng)
        return sample

    def _read(self, index):
        if self._on_error == "raise":
            return self._samples[index]
        count = len(self._samples)
        for candidate in ((index + step) % count for step in range(count)):
            try:
                return self._samples[candidate]
            except _UNREADABLE as error:
                self._warn(candidate, error)
        raise ValueError(
            f"`on_error='skip'` needs a sample that can be read. Received: {count} samples, none "
            "of which can; see the warnings."
        )

    def _warn(self, index, error):
        if index in self.skipped:
            return
        self.skipped.add(index)
        warnings.warn(
            f"Unreadable samples so far: {len(self.skipped)}. Sample {index} is skipped, the next "
            f"one takes its place. {error}",
            stacklevel=2,
        )


# Drawn once in a pass: for a million samples it takes as long as reading several of them. Threads
# work on two passes at a time at most.
@functools.lru_cache(maxsize=4)
def _permutation(count, seed, epoch):
    return np.random.default_rng((seed, epoch)).permutation(count)


def _check_arguments(samples, batch_size, shard, on_error):
    index, count = shard
    if len(samples) < max(count, 1) or batch_size < 1:
        raise ValueError(
            "Batches need a source with samples (for every shard) and a positive `batch_size`. "
            f"Received: len(source)={len(samples)}, shard={shard}, batch_size={batch_size}."
        )
    if not 0 <= index < count:
        raise ValueError(
            "`shard` is the index of this host, from 0, and the number of hosts. "
            f"Received: shard={shard}."
        )
    if on_error not in ("raise", "skip"):
        raise ValueError(f"`on_error` is 'raise' or 'skip'. Received: on_error={on_error!r}.")


def _check_shape(key, value, place):
    if value.shape != place.shape:
        raise ValueError(
            f"The {key!r} of a sample must have the shape {place.shape}. Received: "
            f"{value.shape}, from the source or from a function of `augment`."
        )
