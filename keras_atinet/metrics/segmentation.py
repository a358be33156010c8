import keras
from keras import ops

from keras_atinet.metrics._pixel_metric import PixelMean, PixelMetric


@keras.saving.register_keras_serializable(package="keras_atinet")
class MeanIoU(PixelMetric):
    """Intersection over union, averaged over the classes.

    `mean over c of M[c, c] / (sum_k M[c, k] + sum_k M[k, c] - M[c, c])`, where `M[c, k]` counts the
    pixels of class `c` that were predicted as `k`. Classes absent from truth and prediction are
    left out of the mean.

    Unlike `keras.metrics.MeanIoU` it reads logits, takes one weight per image or per pixel, and
    can average over batches.

    Args:
        num_classes: number of classes; also the number of channels of the logits.
        averaging: `"pixel"`, one confusion matrix for the whole epoch, or `"batch"`, one for each
            batch and the mean of their values. Default `"pixel"`.
        name: default `"mean_iou"`.
        ignore_class: optional int, a class whose pixels do not count, and which is left out of the
            mean. Where it is predicted in place of another class, that class was missed.

    Call arguments:
        y_true: integer classes `(batch, height, width)`. Classes outside `[0, num_classes)` have
            no place in the matrix and are left out, whatever their weight.
        y_pred: float logits `(batch, height, width, num_classes)`.
        sample_weight: float `(batch, height, width)` or `(batch,)`, 0 where a pixel is ignored.
            Default: 1 everywhere.

    Returns:
        float32 scalar in `[0, 1]`; NaN when there was no valid pixel.

    Raises:
        ValueError: if `averaging` is unknown, `num_classes` is not positive, or `y_pred` has
            another number of channels.

    Example:

    >>> metric = MeanIoU(num_classes=3)
    >>> metric.update_state([[[0, 1]]], [[[[9.0, 0.0, 0.0], [9.0, 0.0, 0.0]]]])
    >>> float(metric.result())  # (1 / 2 + 0 / 1) / 2: class 2 is absent
    0.25

    Reference: Sinodinos and Armanfard, Attentive Task Interaction Network, 2022, eq. 7.
    """

    higher_is_better = True

    def __init__(self, num_classes, averaging="pixel", name="mean_iou", ignore_class=None):
        if num_classes < 1:
            raise ValueError(
                "`MeanIoU` needs at least one class. "
                f"Received: num_classes={num_classes}. "
                "Pass the number of channels of the logits."
            )
        super().__init__(averaging, name, statistics_shape=(num_classes, num_classes))
        self.num_classes = num_classes
        self.ignore_class = ignore_class

    def statistics(self, y_true, y_pred, weights):
        """The confusion matrix, truth in rows, prediction in columns."""
        if y_pred.shape[-1] != self.num_classes:
            raise ValueError(
                "`MeanIoU` needs logits with one channel per class. "
                f"Received: {y_pred.shape[-1]} channels, num_classes={self.num_classes}. "
                "Set `num_classes` to the number of channels of the prediction."
            )
        label = ops.cast(y_true[:, 0], "int32")
        predicted = ops.cast(ops.argmax(y_pred, axis=-1), "int32")
        known = ops.logical_and(label >= 0, label < self.num_classes)
        if self.ignore_class is not None:
            known = ops.logical_and(known, label != self.ignore_class)
        cells = label * self.num_classes + predicted
        counts = ops.segment_sum(
            ops.where(known, weights, ops.zeros_like(weights)),
            ops.where(known, cells, ops.zeros_like(cells)),
            num_segments=self.num_classes**2,
        )
        return ops.reshape(counts, (self.num_classes, self.num_classes))

    def value(self, statistics):
        iou, is_present = self._classes(statistics)
        return ops.divide_no_nan(ops.sum(iou), ops.sum(ops.cast(is_present, "float32")))

    def class_iou(self):
        """Intersection over union of each class, all pixels pooled.

        Returns:
            float32 tensor `(num_classes,)`; NaN for classes that occur neither in the truth nor in
            the prediction, and for `ignore_class`. The mean of the others is `result()`.

        Raises:
            ValueError: if `averaging` is not `"pixel"`, because the matrices of the batches are
                not kept.
        """
        iou, is_present = self._classes(self.confusion_matrix())
        return ops.where(is_present, iou, float("nan"))

    def confusion_matrix(self):
        """The confusion matrix of all pixels.

        Returns:
            float32 tensor `(num_classes, num_classes)`, truth in rows, prediction in columns.

        Raises:
            ValueError: as for `class_iou`.
        """
        if self.averaging != "pixel":
            raise ValueError(
                "Classes are counted over all pixels. "
                f"Received: a `MeanIoU` with averaging={self.averaging!r}, which keeps means of "
                'batches. Use averaging="pixel".'
            )
        return self.state

    def _classes(self, confusion):
        """The IoU of each class, 0 where it is not defined, and whether it counts."""
        intersection = ops.diagonal(confusion)
        union = ops.sum(confusion, axis=0) + ops.sum(confusion, axis=1) - intersection
        is_present = union > 0
        if self.ignore_class in range(self.num_classes):
            # Its intersection is 0, but it has a union where it was predicted.
            is_present = is_present & (ops.arange(self.num_classes) != self.ignore_class)
        return ops.divide_no_nan(intersection, union), is_present

    def get_config(self):
        return {
            "num_classes": self.num_classes,
            **super().get_config(),
            "ignore_class": self.ignore_class,
        }


@keras.saving.register_keras_serializable(package="keras_atinet")
class PixelAccuracy(PixelMean):
    """Share of pixels whose most probable class is the true one.

    `mean of [y_true = argmax_c y_pred[c]]`

    Args:
        averaging: `"pixel"`, over all pixels of the epoch, or `"batch"`, the mean of the values of
            the batches. Default `"pixel"`.
        name: default `"pixel_accuracy"`.

    Call arguments:
        y_true: integer classes `(batch, height, width)`.
        y_pred: float logits `(batch, height, width, num_classes)`.
        sample_weight: float `(batch, height, width)` or `(batch,)`, 0 where a pixel is ignored.
            Default: 1 everywhere.

    Returns:
        float32 scalar in `[0, 1]`; NaN when there was no valid pixel.

    Raises:
        ValueError: if `averaging` is unknown.

    Example:

    >>> metric = PixelAccuracy()
    >>> metric.update_state([[[0, 1]]], [[[[9.0, 0.0], [9.0, 0.0]]]])
    >>> float(metric.result())
    0.5

    Reference: Long et al., Fully Convolutional Networks, 2015, section 5.
    """

    higher_is_better = True

    def __init__(self, averaging="pixel", name="pixel_accuracy"):
        super().__init__(averaging, name)

    def pixel_values(self, y_true, y_pred):
        predicted = ops.argmax(y_pred, axis=-1, keepdims=True)
        return ops.cast(y_true, "int32") == ops.cast(predicted, "int32")
