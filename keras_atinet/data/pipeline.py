"""From a source to batches."""

import contextlib
import os

import keras

from keras_atinet.data.cache import Cached
from keras_atinet.data.kinds import described, missing_value
from keras_atinet.data.source import Source
from keras_atinet.data.transforms import fill_missing, mirror, resize

_SHAPE_FACTS = ("num_classes", "channels")


def pipeline(
    source,
    image_size=None,
    batch_size=8,
    tasks=None,
    augment=False,
    shuffle=False,
    seed=0,
    cache=False,
    drop_remainder=False,
):
    """Makes batches for `fit`, `evaluate` and `predict` from a source.

    Samples are read by parallel threads in a fixed order. The same seed gives the same order and
    the same mirroring; both change from epoch to epoch. Unless TensorFlow is the Keras
    backend, GPUs are hidden from it.

    Args:
        source: a `Source`.
        image_size: `(height, width)` to resize to; needed if the source's sizes vary.
        batch_size: int, samples in a batch.
        tasks: sequence of task keys or of objects with a `name`, or None for the source's. A
            task that a sample lacks is missing at every pixel.
        augment: bool, mirror every second sample by chance.
        shuffle: bool, a new order of all samples in each epoch.
        seed: int, of `augment` and `shuffle`.
        cache: bool, keep the resized samples in memory: 8-bit images, 16-bit normals.
        drop_remainder: bool, leave out a last batch that is not full.

    Returns:
        `tf.data.Dataset` of `(images, targets)`: float32 images `(batch, height, width, 3)` in
        [0, 1], and a dict of task key -> labels `(batch, height, width)` int32, depth
        `(batch, height, width, 1)` or normals `(batch, height, width, 3)` float32.

    Raises:
        ValueError: if the size is not known, a task unknown, the source empty, or a task has
            fewer classes than the data.
        ImportError: if TensorFlow is not installed.

    Example:

    ```python
    rooms = Rooms(num_samples=512)
    model.fit(pipeline(rooms, batch_size=8, shuffle=True, augment=True, cache=True))
    ```
    """
    tf = _tensorflow()
    facts = _task_facts(source, tasks)
    samples = _Prepared(source, _known_size(source, image_size), facts)
    if cache:
        samples = Cached(samples)
    workers = min(8, os.cpu_count() or 1)
    indices = tf.data.Dataset.range(len(source))
    if shuffle:
        indices = indices.shuffle(len(source), seed=seed, reshuffle_each_iteration=True)
    coins = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    dataset = tf.data.Dataset.zip(indices, coins.take(len(source)))
    dataset = dataset.map(_reader(tf, samples, augment), num_parallel_calls=workers)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder).prefetch(2)
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.threading.private_threadpool_size = workers
    options.threading.max_intra_op_parallelism = 1
    return dataset.with_options(options)


class _Prepared(Source):
    # Samples of one size that have all tasks.
    def __init__(self, source, image_size, tasks):
        self.source, self.split = source, source.split
        self.image_size, self.tasks = image_size, tasks

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        sample = self.source[index]
        kept = {key: sample[key] for key in ("image", *self.tasks) if key in sample}
        return fill_missing(resize(kept, self.image_size, self.tasks), self.tasks)


def _reader(tf, samples, augment):
    pixels = {task: missing_value(task, facts) for task, facts in samples.tasks.items()}
    dtypes = [tf.float32, *(tf.as_dtype(pixel.dtype) for pixel in pixels.values())]
    shapes = [(*samples.image_size, 3), *(samples.image_size + p.shape for p in pixels.values())]

    def load(index, coin):
        sample = samples[int(index)]
        if augment and coin % 2:
            sample = mirror(sample, samples.tasks)
        return [sample[key] for key in ("image", *pixels)]

    def read(index, coin):
        image, *targets = tf.numpy_function(load, [index, coin], dtypes)
        for tensor, shape in zip((image, *targets), shapes, strict=True):
            tensor.set_shape(shape)
        return image, dict(zip(pixels, targets, strict=True))

    return read


def _task_facts(source, tasks):
    if len(source) == 0:
        raise ValueError("`pipeline` needs a source with samples. Received: len(source)=0.")
    if isinstance(tasks, str):
        tasks = (tasks,)
    facts = {}
    for task in source.tasks if tasks is None else tasks:
        name = getattr(task, "name", task)
        asked = {key: getattr(task, key) for key in _SHAPE_FACTS if hasattr(task, key)}
        facts[name] = source.tasks.get(name, asked)
        num_classes = facts[name].get("num_classes", 0)
        if num_classes > asked.get("num_classes", num_classes):
            raise ValueError(
                f"Task {name!r} needs as many classes as the data has. Received: "
                f"{asked['num_classes']} in `tasks`, {num_classes} in the source. "
                f"Give the task num_classes={num_classes}."
            )
    return described(facts)


def _known_size(source, image_size):
    image_size = image_size or source.image_size
    if image_size is None:
        raise ValueError(
            "The pictures of this source differ in size. Received: image_size=None. "
            "Choose one, for instance image_size=(288, 384)."
        )
    return tuple(image_size)


def _tensorflow():
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            "`pipeline` makes a `tf.data.Dataset`, which works with every Keras backend but needs "
            "TensorFlow. Install it with `pip install keras-atinet[tensorflow]`."
        ) from error
    if keras.config.backend() != "tensorflow":
        # TensorFlow would take the GPU's memory away from the backend that trains. It raises a
        # RuntimeError where its devices are in use already.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    return tf
