import math
from types import SimpleNamespace

import keras


class Patience(keras.callbacks.EarlyStopping):
    """`keras.callbacks.EarlyStopping` which a resumed training does not reset.

    It stops after `epochs` epochs in a row without a lower value of what it monitors. NaN is never
    lower, but epochs of NaN before the first number do not count. Nor do epochs before `first`:
    ATI-Net's attention starts anew with its second phase, whose first losses may lie above the best
    of the first.

    Args:
        epochs: int, at least 1.
        first: int, the first epoch that counts. Defaults to 0.
        rows: list of dicts of str, what the history has of the epochs before. Defaults to none.
        monitor: str, a name in the logs. Defaults to `"val_loss"`.

    Example:
        >>> callback = Patience(10, rows=run.rows())
    """

    def __init__(self, epochs, first=0, rows=(), monitor="val_loss"):
        super().__init__(monitor, mode="min", patience=epochs, start_from_epoch=first)
        self.rows = list(rows)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        for row in self.rows:
            value = float(row.get(self.monitor) or "nan")
            self.on_epoch_end(int(row["epoch"]), {self.monitor: value})

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self.best is not None and math.isnan(self.best):
            self.best = None

    def is_over(self):
        """Whether training ended with the last of the `rows`."""
        model = SimpleNamespace(stop_training=False)
        self.set_model(model)
        self.on_train_begin()
        return model.stop_training
