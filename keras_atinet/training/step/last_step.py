import keras
from keras import ops


class LastStep(keras.metrics.Metric):
    """Logs of the last step of an epoch that was taken; NaN before there is one.

    Args:
        names: list of str, the scalars to keep.
    """

    def __init__(self, names):
        super().__init__(name="last_step", dtype="float32")
        self.names = names
        self.values = self.add_variable((len(names),), "zeros", name="values")
        self.reset_state()

    def update_state(self, logs, is_taken):
        """Keeps the `logs`, a dict with these names, if `is_taken`, a scalar bool tensor."""
        values = ops.stack([ops.cast(logs[name], "float32") for name in self.names])
        self.values.assign(ops.where(is_taken, values, self.values.value))

    def result(self):
        return dict(zip(self.names, ops.unstack(self.values.value), strict=True))

    def reset_state(self):
        self.values.assign(ops.full(self.values.shape, float("nan")))

    # Of a single epoch: files hold nothing of it.

    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass
