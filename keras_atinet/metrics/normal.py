"""Metrics of surface normals, in degrees.

All of them are called with vectors `y_true` and `y_pred` `(batch, height, width, 3)` of any length
and an optional `sample_weight` `(batch, height, width)` or `(batch,)`. A pixel of weight 0 is
ignored.
"""

import math

import keras
from keras import ops

from keras_atinet.metrics._pixel_metric import PixelMean, PixelMetric
from keras_atinet.ops import unit_vector

NUM_BINS = 3600
DEGREES_PER_BIN = 180 / NUM_BINS


def _angular_error(y_true, y_pred):
    """`arccos(n . m)` of the normalised vectors in degrees, `(pixels, 3)` to `(pixels,)`.

    Written as `2 arctan(|n - m| / |n + m|)`, which keeps its precision where the arccos of a
    float32 cosine loses it, near 0 and 180 degrees. A zero vector is at 90 degrees to all others.
    """
    n, m = unit_vector(y_true), unit_vector(y_pred)
    difference = ops.sqrt(ops.sum(ops.square(n - m), axis=-1))
    total = ops.sqrt(ops.sum(ops.square(n + m), axis=-1))
    return ops.arctan2(difference, total) * (2 * 180 / math.pi)


@keras.saving.register_keras_serializable(package="keras_atinet")
class MeanAngularError(PixelMean):
    """Mean angle between true and predicted normal, in degrees.

    `mean of arccos(y_true . y_pred / (|y_true| |y_pred|))`

    Args:
        averaging: `"pixel"`, over all pixels of the epoch, or `"batch"`, the mean of the values of
            the batches, as published tables do. Default `"pixel"`.
        name: default `"mean_angle"`.

    Call arguments:
        y_true: float vectors `(batch, height, width, 3)`.
        y_pred: float vectors `(batch, height, width, 3)`, normalised here. The zero vector counts
            as 90 degrees off.
        sample_weight: float `(batch, height, width)` or `(batch,)`, 0 where a pixel is ignored.
            Default: 1 everywhere.

    Returns:
        float32 scalar in degrees; NaN when there was no valid pixel.

    Raises:
        ValueError: if `averaging` is unknown.

    Example:

    >>> metric = MeanAngularError()
    >>> metric.update_state([[[[0.0, 0.0, -1.0]]]], [[[[0.0, -2.0, 0.0]]]])
    >>> round(float(metric.result()), 4)
    90.0

    Reference: Sinodinos and Armanfard, Attentive Task Interaction Network, 2022, eq. 6.
    """

    def __init__(self, averaging="pixel", name="mean_angle"):
        super().__init__(averaging, name)

    def pixel_values(self, y_true, y_pred):
        return _angular_error(y_true, y_pred)


def _weighted_median(values, weights):
    """Median of sorted values, `(n,)` each: NumPy's median if the weights are 0 and 1.

    It is the mean of the values at which half the weight is reached and at which it is passed:
    two neighbours where an even number of pixels splits in the middle, else twice the same.
    """
    cumulative = ops.cumsum(weights)
    half = cumulative[-1] / 2
    reached = ops.sum(ops.cast(cumulative < half, "int32"))
    passed = ops.sum(ops.cast(cumulative <= half, "int32"))
    passed = ops.minimum(passed, ops.shape(weights)[0] - 1)  # when all weights are 0
    median = (ops.take(values, reached) + ops.take(values, passed)) / 2
    return ops.where(half > 0, median, ops.zeros_like(median))


@keras.saving.register_keras_serializable(package="keras_atinet")
class MedianAngularError(PixelMetric):
    """Median angle between true and predicted normal, in degrees.

    `median of arccos(y_true . y_pred / (|y_true| |y_pred|))`

    With `averaging="pixel"` the angles are kept as a histogram, so memory is constant and the
    result is within 0.05 degrees of the exact median. With `averaging="batch"` the median of each
    batch is exact. Weights other than 0 and 1 give the weighted median.

    Args:
        averaging: `"pixel"`, the median over all pixels of the epoch, or `"batch"`, the mean of
            the medians of the batches, as published tables do. Default `"pixel"`.
        name: default `"median_angle"`.

    Call arguments: those of `MeanAngularError`. A prediction that is not a number counts as 180
    degrees off.

    Returns:
        float32 scalar in degrees; NaN when there was no valid pixel.

    Raises:
        ValueError: if `averaging` is unknown.

    Example:

    >>> metric = MedianAngularError(averaging="batch")
    >>> metric.update_state([[[[0.0, 0.0, -1.0]]]], [[[[0.0, -2.0, 0.0]]]])
    >>> round(float(metric.result()), 4)
    90.0

    Reference: Sinodinos and Armanfard, Attentive Task Interaction Network, 2022, section IV.
    """

    def __init__(self, averaging="pixel", name="median_angle"):
        super().__init__(averaging, name, statistics_shape=(NUM_BINS,))

    def statistics(self, y_true, y_pred, weights):
        """Histogram of the angles."""
        bins = ops.cast(self._angles(y_true, y_pred) / DEGREES_PER_BIN, "int32")
        return ops.segment_sum(weights, ops.clip(bins, 0, NUM_BINS - 1), num_segments=NUM_BINS)

    def value(self, statistics):
        below = ops.cumsum(statistics) - statistics
        half = ops.sum(statistics) / 2
        # Where the median lies if it falls into a bin, as a share of the bin: angles are taken to
        # be spread evenly inside.
        inside = ops.clip(ops.divide_no_nan(half - below, statistics), 0.0, 1.0)
        angles = DEGREES_PER_BIN * (ops.arange(NUM_BINS, dtype="float32") + inside)
        return _weighted_median(angles, statistics)

    def batch_value(self, y_true, y_pred, weights):
        angles = self._angles(y_true, y_pred)
        order = ops.argsort(angles)
        median = _weighted_median(ops.take(angles, order), ops.take(weights, order))
        return median, ops.sum(weights)

    def _angles(self, y_true, y_pred):
        angles = _angular_error(y_true, y_pred)
        return ops.where(ops.isnan(angles), 180.0, angles)  # NaN has neither a bin nor a rank


@keras.saving.register_keras_serializable(package="keras_atinet")
class WithinAngle(PixelMean):
    """Share of pixels whose normal is less than an angle off.

    `mean of [arccos(y_true . y_pred / (|y_true| |y_pred|)) < threshold]`

    Args:
        threshold: the angle in degrees, in `(0, 180]`. Tables give 11.25, 22.5 and 30.
        averaging: `"pixel"`, over all pixels of the epoch, or `"batch"`, the mean of the values of
            the batches. Default `"pixel"`.
        name: default `"within_11.25"`, with the threshold's own value.

    Call arguments: those of `MeanAngularError`.

    Returns:
        float32 scalar in `[0, 1]`; NaN when there was no valid pixel.

    Raises:
        ValueError: if `averaging` is unknown or `threshold` is outside `(0, 180]`.

    Example:

    >>> metric = WithinAngle(30)
    >>> metric.update_state([[[[0.0, 0.0, -1.0]]]], [[[[0.0, -0.5, -2.0]]]])
    >>> float(metric.result())
    1.0

    Reference: Sinodinos and Armanfard, Attentive Task Interaction Network, 2022, section IV.
    """

    higher_is_better = True

    def __init__(self, threshold, averaging="pixel", name=None):
        if not 0 < threshold <= 180:
            raise ValueError(
                "`WithinAngle` needs an angle in degrees, above 0 and at most 180. "
                f"Received: threshold={threshold}. "
                "The usual values are 11.25, 22.5 and 30."
            )
        super().__init__(averaging, name or f"within_{threshold:g}")
        self.threshold = threshold

    def pixel_values(self, y_true, y_pred):
        return _angular_error(y_true, y_pred) < self.threshold

    def get_config(self):
        return {"threshold": self.threshold, **super().get_config()}
