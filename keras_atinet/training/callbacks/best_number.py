import math
import numbers

import keras


class BestNumber(keras.callbacks.Callback):
    """Makes callbacks that keep a best value forget one that is NaN.

    Keras's take the value of the first epoch for the best so far, whatever it is, and no number is
    better than NaN: `ModelCheckpoint` would keep that epoch, `EarlyStopping` would stop.
    `MultiTaskModel.fit` adds it, after the user's callbacks.

    Args:
        callbacks: list of callbacks. Those without a number as attribute `best` are left alone.
    """

    def __init__(self, callbacks):
        super().__init__()
        self.callbacks = callbacks

    def on_epoch_end(self, epoch, logs=None):
        for callback in self.callbacks:
            best = getattr(callback, "best", None)
            if isinstance(best, numbers.Real) and math.isnan(best):
                callback.best = None
