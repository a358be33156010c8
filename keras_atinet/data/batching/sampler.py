"""Which samples make which batch: the order, the augmentation, and the arrays."""

import warnings

import numpy as np

from keras_atinet.data.batching.arguments import check_arguments, known_size, open_given, task_facts
from keras_atinet.data.batching.buffers import Buffers
from keras_atinet.data.batching.cache import Cached
from keras_atinet.data.kinds import missing_value
from keras_atinet.data.source import Source
from keras_atinet.data.transforms.augmentation import get_augmentation
from keras_atinet.data.transforms.resize import resize

_UNREADABLE = (ValueError, OSError)


class Sampler:
    """Makes batch `number` of epoch `epoch`, the same one whenever and wherever it is asked for.

    The order of an epoch is a permutation drawn from `(seed, epoch)`; the augmentation of a sample
    is drawn from `(seed, epoch, index)`. The arguments are those of `pipeline`.

    Attributes:
        pixels: dict, `image` and task keys -> one missing pixel, which has the dtype and, after
            `(H, W)`, the shape of the array.
        image_size: `(height, width)` of the batches.
        skipped: set of the indices of samples that could not be read.
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
        shard=(0, 1),
        on_error="raise",
    ):
        tasks = (tasks,) if isinstance(tasks, str) else tasks
        source = open_given(source, split, tasks)
        check_arguments(source, batch_size, shard, on_error)
        facts = task_facts(source, tasks)
        self.image_size = known_size(source, image_size)
        self.pixels = {"image": np.zeros(3, np.float32)}
        self.pixels.update((key, missing_value(key, facts[key])) for key in facts)
        resized = _Resized(source, self.image_size, facts)
        self._samples = Cached(resized) if cache else resized
        self._functions = get_augmentation(augment, facts)
        self._batch_size, self._drop_remainder = batch_size, drop_remainder
        self._shuffle, self._seed = shuffle, seed
        self._shard, self._on_error = shard, on_error
        # For as many batches as are made ahead or wait to be taken.
        self._buffers = Buffers(16 * len(self.pixels))
        self.skipped = set()

    def __len__(self):
        """The number of batches in an epoch."""
        count = len(self._samples) // self._shard[1]
        return count // self._batch_size if self._drop_remainder else -(-count // self._batch_size)

    def order(self, epoch):
        """The indices of an epoch's samples, those of this shard, in order."""
        order = np.arange(len(self._samples))
        if self._shuffle:
            order = np.random.default_rng((self._seed, epoch)).permutation(order)
        index, count = self._shard
        # All shards have as many samples, so as many steps.
        return order[index::count][: len(order) // count]

    def batch(self, epoch, number):
        """One batch.

        Args:
            epoch: int, from 0.
            number: int in `[0, len(self))`.

        Returns:
            `(images, targets)`, see `pipeline`; NumPy arrays.
        """
        indices = self.order(epoch)[number * self._batch_size :][: self._batch_size]
        arrays = {
            key: self._buffers.empty((len(indices), *self.image_size, *pixel.shape), pixel.dtype)
            for key, pixel in self.pixels.items()
        }
        for position, index in enumerate(indices):
            sample = self.sample(epoch, int(index))
            for key, array in arrays.items():
                if key in sample:
                    self._check_shape(key, sample[key], array[position])
                array[position] = sample.get(key, self.pixels[key])
        return arrays.pop("image"), arrays

    def sample(self, epoch, index):
        """One sample, resized and augmented; absent tasks are absent."""
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

    def _check_shape(self, key, value, place):
        if value.shape != place.shape:
            raise ValueError(
                f"The {key!r} of a sample must have the shape {place.shape}. Received: "
                f"{value.shape}, from the source or from a function of `augment`."
            )


class _Resized(Source):
    # The arrays of the chosen tasks, at one size.
    def __init__(self, source, image_size, tasks):
        self.source, self.split = source, source.split
        self.image_size, self.tasks = image_size, tasks

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        sample = self.source[int(index)]
        kept = {key: sample[key] for key in ("image", *self.tasks) if key in sample}
        return resize(kept, self.image_size, self.tasks)
