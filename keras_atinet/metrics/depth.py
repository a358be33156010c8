"""Metrics of depth in metres.

All of them are called with `y_true` and `y_pred` `(batch, height, width, 1)` and an optional
`sample_weight` `(batch, height, width)` or `(batch,)`. A pixel of weight 0 is ignored: its true
depth may be 0, NaN or infinite. A pixel of positive weight needs a true depth above 0.
"""

import keras
from keras import ops

from keras_atinet.metrics._pixel_metric import PixelMean


@keras.saving.register_keras_serializable(package="keras_atinet")
class AbsoluteError(PixelMean):
    """Mean absolute error of depth, in metres.

    `mean of |y_true - y_pred|`

    Args:
        averaging: `"pixel"`, over all pixels of the epoch, or `"batch"`, the mean of the values of
            the batches, as published tables do. Default `"pixel"`.
        name: default `"abs_error"`.

    Call arguments:
        y_true: float depth in metres `(batch, height, width, 1)`.
        y_pred: float depth in metres `(batch, height, width, 1)`.
        sample_weight: float `(batch, height, width)` or `(batch,)`, 0 where a pixel is ignored.
            Default: 1 everywhere.

    Returns:
        float32 scalar in metres; NaN when there was no valid pixel.

    Raises:
        ValueError: if `averaging` is unknown.

    Example:

    >>> metric = AbsoluteError()
    >>> metric.update_state([[[[2.0], [0.0]]]], [[[[2.5], [1.0]]]], [[[1.0, 0.0]]])
    >>> float(metric.result())
    0.5

    Reference: Sinodinos and Armanfard, Attentive Task Interaction Network, 2022, eq. 3, averaged.
    """

    def __init__(self, averaging="pixel", name="abs_error"):
        super().__init__(averaging, name)

    def pixel_values(self, y_true, y_pred):
        return ops.abs(y_true - y_pred)


@keras.saving.register_keras_serializable(package="keras_atinet")
class RelativeError(PixelMean):
    """Mean absolute error of depth as a share of the true depth.

    `mean of |y_true - y_pred| / y_true`

    Arguments, shapes and errors are those of `AbsoluteError`; the default name is `"rel_error"`.

    Returns:
        float32 scalar without unit; NaN when there was no valid pixel.

    Example:

    >>> metric = RelativeError()
    >>> metric.update_state([[[[2.0], [0.0]]]], [[[[2.5], [1.0]]]], [[[1.0, 0.0]]])
    >>> float(metric.result())
    0.25

    Reference: Sinodinos and Armanfard, Attentive Task Interaction Network, 2022, eq. 5, averaged.
    """

    def __init__(self, averaging="pixel", name="rel_error"):
        super().__init__(averaging, name)

    def pixel_values(self, y_true, y_pred):
        return ops.abs(y_true - y_pred) / y_true


@keras.saving.register_keras_serializable(package="keras_atinet")
class RootMeanSquaredError(PixelMean):
    """Root of the mean squared error of depth, in metres.

    `sqrt(mean of (y_true - y_pred)^2)`

    Arguments, shapes and errors are those of `AbsoluteError`; the default name is `"rmse"`.

    Returns:
        float32 scalar in metres; NaN when there was no valid pixel.

    Example:

    >>> metric = RootMeanSquaredError()
    >>> metric.update_state([[[[2.0], [0.0]]]], [[[[2.5], [1.0]]]], [[[1.0, 0.0]]])
    >>> float(metric.result())
    0.5

    Reference: Eigen et al., Depth Map Prediction from a Single Image, 2014, section 4.3.
    """

    def __init__(self, averaging="pixel", name="rmse"):
        super().__init__(averaging, name)

    def pixel_values(self, y_true, y_pred):
        return ops.square(y_true - y_pred)

    def value(self, statistics):
        return ops.sqrt(super().value(statistics))


@keras.saving.register_keras_serializable(package="keras_atinet")
class WithinRatio(PixelMean):
    """Share of pixels whose depth is right up to a factor.

    `mean of [max(y_true / y_pred, y_pred / y_true) < threshold]`, where a prediction that is not
    positive is outside.

    Args:
        threshold: the factor, above 1. Default 1.25; the usual others are its square and cube.
        averaging: `"pixel"`, over all pixels of the epoch, or `"batch"`, the mean of the values of
            the batches. Default `"pixel"`.
        name: default `"within_1.25"`, with the threshold's own value.

    Call arguments: those of `AbsoluteError`.

    Returns:
        float32 scalar in `[0, 1]`; NaN when there was no valid pixel.

    Raises:
        ValueError: if `averaging` is unknown or `threshold` is not above 1.

    Example:

    >>> metric = WithinRatio()
    >>> metric.update_state([[[[2.0], [2.0]]]], [[[[2.4], [1.5]]]])
    >>> float(metric.result())
    0.5

    Reference: Eigen et al., Depth Map Prediction from a Single Image, 2014, section 4.3.
    """

    higher_is_better = True

    def __init__(self, threshold=1.25, averaging="pixel", name=None):
        if not threshold > 1:
            raise ValueError(
                "`WithinRatio` needs a factor above 1, since no ratio lies below it. "
                f"Received: threshold={threshold}. "
                "The usual values are 1.25, 1.25**2 and 1.25**3."
            )
        super().__init__(averaging, name or f"within_{threshold:g}")
        self.threshold = threshold

    def pixel_values(self, y_true, y_pred):
        # Both ratios, multiplied out: nothing to divide by, and false for predictions <= 0.
        return ops.logical_and(y_true < self.threshold * y_pred, y_pred < self.threshold * y_true)

    def get_config(self):
        return {"threshold": self.threshold, **super().get_config()}
