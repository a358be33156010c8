"""From a source to batches, as `tf.data`."""

import contextlib
import os

import keras
import numpy as np

from keras_atinet.data.batching.epochs import Epochs
from keras_atinet.data.batching.sampler import Sampler


def pipeline(
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
):
    """Makes batches for `fit`, `evaluate` and `predict` from a source, as `tf.data`.

    Batches are made by parallel threads in a fixed order. The same seed gives the same order and
    the same augmentation, here and in `Batches`; both change from epoch to epoch. Each pass over
    the data is the next epoch, unless it ends after one or two batches; `dataset.epochs.next` is
    the one that comes next, and can be set. Unless TensorFlow is the Keras backend, GPUs are
    hidden from it.

    Args:
        source: a `Source`, or what `open_source` takes: a path, `"rooms"`.
        split: str, the part of the data to open; None for that of the source.
        image_size: `(height, width)` to resize to; needed if the source's sizes vary.
        batch_size: int, samples in a batch.
        tasks: sequence of task keys or of objects with a `name`, or None for the source's. A
            task that a sample lacks is missing at every pixel.
        augment: bool (True: `random_scale_crop`, `random_color`, `random_mirror`), or a function
            `(sample, rng) -> sample`, or a sequence of such functions.
        shuffle: bool, a new order of all samples in each epoch.
        seed: int, not negative, of `augment` and `shuffle`.
        cache: bool, keep the resized samples in memory: 8-bit images, 16-bit normals.
        drop_remainder: bool, leave out a last batch that is not full.
        first_epoch: int, the epoch of the first pass: `initial_epoch` of a `fit` that goes on.
        shard: `(index, count)`: of the epoch's samples, those of this host of so many. No two
            hosts share one; all have as many (up to `count - 1` samples are left out).
        on_error: `"raise"`, or `"skip"`: the next readable sample takes the place of one that
            cannot be read, with a warning.
        workers: int, number of threads, or None for one per core, at most 8.

    Returns:
        `tf.data.Dataset` of `(images, targets)`: float32 images `(batch, height, width, 3)` in
        [0, 1], and a dict of task key -> labels `(batch, height, width)` int32, depth
        `(batch, height, width, 1)` or normals `(batch, height, width, 3)` float32.

    Raises:
        ValueError: if the size is not known, a task unknown, the source empty, or a task has
            fewer classes than the data.
        ImportError: if TensorFlow is not installed; `Batches` does without.

    Example:

    ```python
    rooms = Rooms(num_samples=512)
    model.fit(pipeline(rooms, batch_size=8, shuffle=True, augment=True, cache=True))
    ```
    """
    tf = _tensorflow()
    data = source, split, image_size, batch_size, tasks
    order = augment, shuffle, seed, cache, drop_remainder, shard, on_error
    sampler = Sampler(*data, *order)
    epochs = Epochs(first_epoch, len(sampler))
    fixed_size = batch_size if drop_remainder else None
    dataset = _dataset(tf, sampler, epochs, fixed_size, workers or default_workers())
    dataset.epochs = epochs
    return dataset


def default_workers():
    """The number of threads that read samples if none is given."""
    return min(8, os.cpu_count() or 1)


def _dataset(tf, sampler, epochs, batch_size, workers):
    # Numbers of batches, each with the epoch that it is when a pass begins; then the batches.
    dataset = tf.data.Dataset.range(1).map(
        lambda _: tf.ensure_shape(
            tf.numpy_function(lambda: np.int64(epochs.next), [], tf.int64), []
        )
    )
    numbers = tf.data.Dataset.range(len(sampler))
    dataset = dataset.flat_map(lambda epoch: numbers.map(lambda number: (epoch, number)))
    dataset = dataset.map(_reader(tf, sampler, batch_size), workers)
    dataset = dataset.prefetch(2).map(_marker(tf, epochs))
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(sampler)))
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.threading.private_threadpool_size = workers
    options.threading.max_intra_op_parallelism = 1
    return dataset.with_options(options)


def _reader(tf, sampler, batch_size):
    keys = list(sampler.pixels)
    dtypes = [tf.as_dtype(pixel.dtype) for pixel in sampler.pixels.values()]

    def load(epoch, number):
        images, targets = sampler.batch(int(epoch), int(number))
        return [images, *targets.values()]

    def read(epoch, number):
        tensors = tf.numpy_function(load, [epoch, number], dtypes)
        for tensor, pixel in zip(tensors, sampler.pixels.values(), strict=True):
            tensor.set_shape((batch_size, *sampler.image_size, *pixel.shape))
        return epoch, number, tensors[0], dict(zip(keys[1:], tensors[1:], strict=True))

    return read


def _marker(tf, epochs):
    def mark(epoch, number, images, targets):
        with tf.control_dependencies([tf.numpy_function(epochs.reached, [epoch, number], [])]):
            return tf.identity(images), targets

    return mark


def _tensorflow():
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            "`pipeline` makes a `tf.data.Dataset`, which works with every Keras backend but needs "
            "TensorFlow. Install it with `pip install keras-atinet[tensorflow]`, or use `Batches`, "
            "which takes the same arguments."
        ) from error
    if keras.config.backend() != "tensorflow":
        # TensorFlow would take the GPU's memory away from the backend that trains. It raises a
        # RuntimeError where its devices are in use already.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    return tf
