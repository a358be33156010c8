import keras
from keras import ops


def _one_unless(valid, values):
    # On PyTorch, Keras would copy a Python number to the device.
    return ops.where(valid, values, ops.ones_like(values))


def _float32(x):
    return ops.cast(ops.convert_to_tensor(x), "float32")


def _pixel_weights(sample_weight, shape):
    """Weights of shape `(batch,)` or `(batch, height, width)`, flattened to `(pixels,)`."""
    if sample_weight is None:
        return ops.reshape(ops.ones(shape, dtype="float32"), (-1,))
    weights = _float32(sample_weight)
    trailing = (1,) * (len(shape) - len(weights.shape))
    weights = ops.reshape(weights, (*ops.shape(weights), *trailing))
    return ops.reshape(ops.broadcast_to(weights, shape), (-1,))


class PixelMetric(keras.metrics.Metric):
    """A value of statistics that add up over pixels.

    `averaging="pixel"`: `value(sum of the statistics of all pixels)`.
    `averaging="batch"`: `mean over batches of value(statistics of the batch)`, batches without a
    valid pixel left out.

    Either is NaN if there was no valid pixel at all.

    A subclass gives `statistics` and `value`. Both see flat float32 tensors: `y_true`
    `(pixels, channels)`, `y_pred` `(pixels, channels)` and `weights` `(pixels,)`. Pixels of weight
    0 have been overwritten by ones, so nothing that stood there can reach a result.
    """

    higher_is_better = False

    def __init__(self, averaging, name, statistics_shape):
        if averaging not in ("pixel", "batch"):
            raise ValueError(
                f"`{type(self).__name__}` needs a way of averaging that it knows. "
                f"Received: averaging={averaging!r}. "
                'Use "pixel" (pool all pixels) or "batch" (mean of the values of the batches).'
            )
        # float32 whatever the float type of the model: counts of pixels do not fit in half.
        super().__init__(name=name, dtype="float32")
        self.averaging = averaging
        self.state = self.add_variable(
            # "batch" keeps the sum of the values and the number of batches.
            shape=statistics_shape if averaging == "pixel" else (2,),
            initializer="zeros",
            dtype="float32",
            name="state",
        )

    def statistics(self, y_true, y_pred, weights):
        raise NotImplementedError

    def value(self, statistics):
        raise NotImplementedError

    def total_weight(self, statistics):
        """The weights of the pixels that the statistics are of, summed."""
        return ops.sum(statistics)

    def batch_value(self, y_true, y_pred, weights):
        """The value of a batch, and the weights of its pixels, summed."""
        statistics = self.statistics(y_true, y_pred, weights)
        return self.value(statistics), self.total_weight(statistics)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = _float32(y_true), _float32(y_pred)
        weights = _pixel_weights(sample_weight, ops.shape(y_pred)[:-1])
        valid = ops.expand_dims(weights > 0, -1)
        channels = y_true.shape[-1] if len(y_true.shape) == len(y_pred.shape) else 1
        y_true = _one_unless(valid, ops.reshape(y_true, (-1, channels)))
        y_pred = _one_unless(valid, ops.reshape(y_pred, (-1, y_pred.shape[-1])))
        if self.averaging == "pixel":
            update = self.statistics(y_true, y_pred, weights)
        else:
            value, weight = self.batch_value(y_true, y_pred, weights)
            update = ops.where(weight != 0, ops.stack([value, ops.ones_like(value)]), 0.0)
        self.state.assign_add(update)

    def result(self):
        if self.averaging == "pixel":
            value, weight = self.value(self.state), self.total_weight(self.state)
        else:
            value, weight = ops.divide_no_nan(self.state[0], self.state[1]), self.state[1]
        return value * (weight / weight)  # NaN where it is 0

    def get_config(self):
        return {"averaging": self.averaging, "name": self.name}


class PixelMean(PixelMetric):
    """`sum(weight * pixel_values) / sum(weight)`; a subclass gives `pixel_values`."""

    def __init__(self, averaging, name):
        super().__init__(averaging, name, statistics_shape=(2,))

    def pixel_values(self, y_true, y_pred):
        raise NotImplementedError

    def statistics(self, y_true, y_pred, weights):
        values = _float32(self.pixel_values(y_true, y_pred))
        total = ops.sum(weights * ops.reshape(values, (-1,)))
        return ops.stack([total, ops.sum(weights)])

    def value(self, statistics):
        return ops.divide_no_nan(statistics[0], statistics[1])

    def total_weight(self, statistics):
        return statistics[1]
