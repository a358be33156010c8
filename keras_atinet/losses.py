"""The tasks' losses. Void pixels come in as pixels of `sample_weight` 0."""

import keras
from keras import ops

from keras_atinet.ops import unit_vector
from keras_atinet.ops.masks import weighted_mean

# Mean over the valid pixels: sum(weight * loss) / sum(weight), 0 when there are none.
REDUCTION = "mean_with_sample_weight"


def cross_entropy(class_weights=None):
    """`-log softmax(logits)[class]`, averaged over the valid pixels (eq. 2).

    Args:
        class_weights: optional sequence of float, one for each class; see `WeightedCrossEntropy`.

    Returns:
        `keras.losses.SparseCategoricalCrossentropy` on logits: `y_true` is `(batch, height, width)`
        integer, `y_pred` `(batch, height, width, num_classes)`.
    """
    if class_weights is not None:
        return WeightedCrossEntropy(class_weights)
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction=REDUCTION, dtype="float32"
    )


def absolute_error():
    """`|d - d_hat|` in metres, averaged over the valid pixels (eq. 3).

    Returns:
        `keras.losses.MeanAbsoluteError`: both arguments are `(batch, height, width, 1)`.
    """
    return keras.losses.MeanAbsoluteError(reduction=REDUCTION, dtype="float32")


def as_loss(loss):
    """A loss, its name or a function `(y_true, y_pred)` as a `keras.losses.Loss`.

    Returns:
        `keras.losses.Loss`; a function's values are averaged over the valid pixels.
    """
    loss = keras.losses.get(loss)
    return loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(loss)


class _FunctionLoss(keras.losses.Loss):
    def __init__(self, function):
        super().__init__(name="function_loss", reduction=REDUCTION, dtype="float32")
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


@keras.saving.register_keras_serializable(package="keras_atinet")
class WeightedCrossEntropy(keras.losses.SparseCategoricalCrossentropy):
    """Cross-entropy in which a pixel counts as much as its class: `sum(w l) / sum(w)`.

    `l = -log softmax(logits)[class]` and `w = class_weights[class] * sample_weight`; 0 where all
    `w` are 0.

    Args:
        class_weights: sequence of float, one for each class.

    Call arguments:
        y_true: integer classes `(batch, height, width)`.
        y_pred: float logits `(batch, height, width, num_classes)`.
        sample_weight: optional float tensor `(batch, height, width)`, 0 at ignored pixels.

    Returns:
        Float32 scalar.

    Example:
        >>> loss = keras_atinet.losses.WeightedCrossEntropy([1.0, 3.0])
        >>> float(loss([[[0, 1]]], [[[[0.0, 0.0], [0.0, 0.0]]]]))  # log 2
        0.6931471824645996
    """

    def __init__(
        self, class_weights, reduction=REDUCTION, name="weighted_cross_entropy", dtype="float32"
    ):
        super().__init__(from_logits=True, reduction=reduction, name=name, dtype=dtype)
        self.class_weights = [float(weight) for weight in class_weights]

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_true = ops.cast(ops.convert_to_tensor(y_true), "int32")
        weight = ops.take(ops.convert_to_tensor(self.class_weights, "float32"), y_true)
        if sample_weight is not None:
            weight *= ops.cast(sample_weight, "float32")
        return weighted_mean(super().__call__, y_true, y_pred, weight)

    def get_config(self):
        return {"class_weights": self.class_weights, "reduction": self.reduction, "name": self.name}


@keras.saving.register_keras_serializable(package="keras_atinet")
class CosineDistance(keras.losses.Loss):
    """`1 - y . y_hat` of unit vectors, averaged over the valid pixels.

    That is eq. 4 plus 1: it is never negative, so that ratios of losses make sense.

    Call arguments:
        y_true: float tensor `(batch, height, width, 3)`.
        y_pred: float tensor of the same shape. Both are scaled to length 1.
        sample_weight: optional float tensor `(batch, height, width)`.

    Returns:
        Float32 scalar in `[0, 2]`.

    Example:
        >>> loss = keras_atinet.losses.CosineDistance()
        >>> float(loss([[[[0.0, 0.0, -1.0]]]], [[[[0.0, 0.0, -2.0]]]]))
        0.0

    Reference: ATI-Net, Sinodinos and Armanfard, eq. 4.
    """

    def __init__(self, reduction=REDUCTION, name="cosine_distance", dtype="float32"):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        return 1.0 - ops.sum(unit_vector(y_true) * unit_vector(y_pred), axis=-1)
