from keras_atinet.metrics.depth import (
    AbsoluteError,
    RelativeError,
    RootMeanSquaredError,
    WithinRatio,
)
from keras_atinet.metrics.normal import MeanAngularError, MedianAngularError, WithinAngle
from keras_atinet.metrics.segmentation import MeanIoU, PixelAccuracy

__all__ = [
    "AbsoluteError",
    "MeanAngularError",
    "MeanIoU",
    "MedianAngularError",
    "PixelAccuracy",
    "RelativeError",
    "RootMeanSquaredError",
    "WithinAngle",
    "WithinRatio",
]
