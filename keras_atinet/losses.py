"""The tasks' losses. Void pixels come in as pixels of `sample_weight` 0."""

import keras
from keras import ops

from keras_atinet.ops import unit_vector

# Mean over the valid pixels: sum(weight * loss) / sum(weight), 0 when there are none.
REDUCTION = "mean_with_sample_weight"


def cross_entropy():
    """`-log softmax(logits)[class]`, averaged over the valid pixels (eq. 2).

    Returns:
        `keras.losses.SparseCategoricalCrossentropy` on logits: `y_true` is `(batch, height, width)`
        integer, `y_pred` `(batch, height, width, num_classes)`.
    """
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
