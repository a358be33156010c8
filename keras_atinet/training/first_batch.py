"""A look at the first batch of a `fit`, for what trains without an error but is wrong."""

import copy
import types
import warnings

import keras
import numpy as np

from keras_atinet.training.step import by_task

# Images are in [0, 1]. Resampling and changes of colour overshoot; other scales do so by far.
_LOWEST, _HIGHEST = -0.5, 2


class FirstBatch:
    """Looks at the first batch that it is given, and warns of what it finds.

    Thresholds: images of integers, or with a value below -0.5, above 2 or not finite; for targets
    see `Task.find_problems`.

    Args:
        tasks: list of `Task`.
    """

    def __init__(self, tasks):
        self._tasks, self._seen = tasks, False

    def watch(self, x, y=None, batch_size=None):
        """What to give to `keras.Model.fit` instead of `x`: the same batches, the first looked at.

        Nothing is read twice or ahead of time, except from a `PyDataset` whose processes make
        batches where a warning would be lost. What Keras takes beside arrays, `PyDataset`,
        `tf.data.Dataset`, `DataLoader` and generators is not looked at.

        Args:
            x, y, batch_size: as for `fit`.
        """
        if isinstance(x, types.GeneratorType):
            return self._batches(x)
        if isinstance(x, keras.utils.PyDataset):
            if x.use_multiprocessing and x.workers:
                self.look(x[0])
                return x
            return _WatchedPyDataset(x, self)
        names = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(x).__mro__}
        if ("tensorflow", "DatasetV2") in names:
            return _watched_tf_data(x, self)
        if ("torch", "DataLoader") in names:
            return _watched_loader(x, self)
        if all(hasattr(array, "shape") for array in keras.tree.flatten((x, y))):
            count = batch_size or 32  # as Keras
            self.look(keras.tree.map_structure(lambda array: array[:count], (x, y)))
        return x

    def look(self, batch):
        """Looks at a batch, `(images, targets[, sample weights])`, if it is the first."""
        if self._seen:
            return
        self._seen = True
        images, targets, _ = keras.utils.unpack_x_y_sample_weight(batch)
        problems = self._find_problems(keras.tree.flatten(images)[0], targets)
        if problems:
            found = "".join(f"\n- {problem}." for problem in problems)
            warnings.warn(f"The first batch looks wrong, but trains:{found}", stacklevel=4)

    def _batches(self, batches):
        for batch in batches:
            self.look(batch)
            yield batch

    def _find_problems(self, images, targets):
        images = keras.ops.convert_to_numpy(images)
        problems = _find_image_problems(images)
        try:
            targets = by_task(self._tasks, targets, "y")
        except ValueError:
            return problems  # an error of the train step
        for task in self._tasks:
            target = keras.ops.convert_to_numpy(targets[task.name])
            if target.shape[1:] == task.target_shape(*images.shape[1:3]):
                problems += [f"{task.name}: {problem}" for problem in task.find_problems(target)]
        return problems


def _find_image_problems(images):
    if np.issubdtype(images.dtype, np.integer):
        return [f"images: they are {images.dtype}, but must be floats in [0, 1]. Divide by 255.0"]
    if not images.size:
        return []  # an error of Keras
    low, high = float(images.min()), float(images.max())
    if not np.isfinite([low, high]).all():
        return ["images: they hold NaN or infinity, but must lie in [0, 1]"]
    if low < _LOWEST or high > _HIGHEST:
        return [
            f"images: they lie in [{low:.4g}, {high:.4g}], but must lie in [0, 1]. Divide 8-bit "
            "images by 255.0, and leave out a normalization by mean and deviation"
        ]
    return []


class _WatchedPyDataset(keras.utils.PyDataset):
    def __init__(self, dataset, first_batch):
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset, self._first_batch = dataset, first_batch

    @property
    def num_batches(self):
        return self._dataset.num_batches

    def __getitem__(self, index):
        batch = self._dataset[index]
        self._first_batch.look(batch)
        return batch

    def on_epoch_begin(self):
        self._dataset.on_epoch_begin()

    def on_epoch_end(self):
        self._dataset.on_epoch_end()


def _watched_tf_data(dataset, first_batch):
    import tensorflow as tf

    def watch(number, batch):
        def look(*arrays):
            first_batch.look(tf.nest.pack_sequence_as(batch, arrays))
            return np.int64(0)

        tensors = tf.nest.flatten(batch)
        # Of the first batch of each epoch, so that the others do not leave TensorFlow.
        looked = tf.cond(
            number == 0,
            lambda: tf.numpy_function(look, tensors, tf.int64),
            lambda: tf.constant(0, tf.int64),
        )
        with tf.control_dependencies([looked]):
            tensors[0] = tf.identity(tensors[0])
        return tf.nest.pack_sequence_as(batch, tensors)

    if not all(isinstance(spec, tf.TensorSpec) for spec in tf.nest.flatten(dataset.element_spec)):
        return dataset
    return dataset.enumerate().map(watch)


def _watched_loader(loader, first_batch):
    class Watched(type(loader)):
        def __iter__(self):
            return first_batch._batches(super().__iter__())

    watched = copy.copy(loader)
    watched.__class__ = Watched
    return watched
