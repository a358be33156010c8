"""From a source to batches, as `tf.data`."""

import contextlib

import keras
import numpy as np

from keras_atinet.data.batching.epochs import Epochs
from keras_atinet.data.batching.parallel import default_workers
from keras_atinet.data.batching.sampler import Sampler
from keras_atinet.data.batching.samples import get_samples

_ENDLESS = 2**62  # batches


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
    the same augmentation, here and in `Batches`; both change from pass to pass. Unless TensorFlow
    is the Keras backend, GPUs are hidden from it.

    All passes over the data, each with every sample once, form one stream. In the `fit` of this
    package's models an epoch is a pass, or with `steps_per_epoch=s` the next `s` batches of the
    stream: epoch `e` begins at batch `e * s`. `dataset.epochs.next` is the epoch that comes next.
    It can be set before a `fit` or a pass, and moves on with every epoch of `fit` and with every
    complete pass of another kind (`evaluate`, a loop); what is broken off begins anew. A `fit`
    with `first_epoch` and the same `steps_per_epoch` sees what an undisturbed one would have seen.

    The `fit` of another `keras.Model` ends an epoch of `steps_per_epoch` batches early where a
    pass ends, starts each `fit` with a new pass, and may count a look at a single batch as a pass
    over data that has no more.

    Args:
        source: a `Source`, or what `open_source` takes: a path, `"rooms"`.
        split: str, the part of the data to open; None for that of the source.
        image_size: `(height, width)` to resize to; needed if the source's sizes vary.
        batch_size: int, samples in a batch.
        tasks: sequence of task keys or of objects with a `name`, or None for the source's. A
            task that a sample lacks is missing at every pixel.
        augment: `"mirror"` (`random_mirror`), `"color"` (`random_color` as well), `"full"` or
            True (`random_scale_crop` as well), `"none"` or False; or a function
            `(sample, rng) -> sample`, or a sequence of such functions.
        shuffle: bool, a new order of all samples in each pass.
        seed: int, not negative, of `augment` and `shuffle`.
        cache: bool, keep the resized samples in memory: 8-bit images, 16-bit normals.
        drop_remainder: bool, leave out a last batch that is not full.
        first_epoch: int, the epoch of the first pass: `initial_epoch` of a resumed `fit`.
        shard: `(index, count)`: of the samples of a pass, those of this host of so many. No two
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
            other classes than the data; where a batch is made, if a label is neither one of the
            data's classes nor to be ignored (-1, 255 unless it is a class, `ignore_class`).
        ImportError: if TensorFlow is not installed; `Batches` does without.

    Example:

    ```python
    rooms = Rooms(num_samples=512)
    model.fit(pipeline(rooms, batch_size=8, shuffle=True, augment=True, cache=True))
    ```
    """
    tf = _tensorflow()
    samples = get_samples(source, split, image_size, tasks, cache)
    sampler = Sampler(
        samples,
        batch_size,
        augment=augment,
        shuffle=shuffle,
        seed=seed,
        drop_remainder=drop_remainder,
        shard=shard,
        on_error=on_error,
    )
    epochs = Epochs(first_epoch)
    read = _reader(tf, sampler, batch_size if drop_remainder else None)
    workers = workers or default_workers()

    def stream(steps_per_epoch):
        numbers = _numbers(tf, lambda: epochs.next * steps_per_epoch, _ENDLESS)
        return _batches(tf, numbers, read, workers).map(lambda number, *batch: batch)

    count = len(sampler)
    numbers = _numbers(tf, lambda: epochs.next * count, count)
    dataset = _batches(tf, numbers, read, workers).map(_marker(tf, epochs, count))
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
    dataset.epochs, dataset.stream, dataset.tasks = epochs, stream, samples.tasks
    return dataset


def _numbers(tf, first, count):
    # Numbers of batches, from the one that is the first when the iteration begins.
    begin = tf.data.Dataset.range(1).map(
        lambda _: tf.ensure_shape(tf.numpy_function(lambda: np.int64(first()), [], tf.int64), [])
    )
    return begin.flat_map(lambda number: tf.data.Dataset.range(number, number + count))


def _batches(tf, numbers, read, workers):
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.threading.private_threadpool_size = workers
    options.threading.max_intra_op_parallelism = 1
    return numbers.map(read, workers).prefetch(2).with_options(options)


def _reader(tf, sampler, batch_size):
    keys = list(sampler.pixels)
    dtypes = [tf.as_dtype(pixel.dtype) for pixel in sampler.pixels.values()]

    def load(number):
        images, targets = sampler.batch(int(number))
        return [images, *targets.values()]

    def read(number):
        tensors = tf.numpy_function(load, [number], dtypes)
        for tensor, pixel in zip(tensors, sampler.pixels.values(), strict=True):
            tensor.set_shape((batch_size, *sampler.image_size, *pixel.shape))
        return number, tensors[0], dict(zip(keys[1:], tensors[1:], strict=True))

    return read


def _marker(tf, epochs, count):
    def move_on(number):
        if (number + 1) % count == 0:
            epochs.next = int(number + 1) // count

    def mark(number, images, targets):
        # Where a batch is taken, not where it is made ahead.
        with tf.control_dependencies([tf.numpy_function(move_on, [number], [])]):
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
