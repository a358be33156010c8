import keras
import numpy as np
from keras import ops

from keras_atinet.balancing.balancer import Balancer
from keras_atinet.balancing.solvers.arithmetic import (
    present_scores,
    present_softmax,
    safe_log,
    safe_log_slope,
)


@keras.saving.register_keras_serializable(package="keras_atinet")
class SmoothTchebycheff(Balancer):
    """Lowers the worst of the losses, smoothly: in logarithms, over the n tasks that are present,

    `O = n mu log sum_k exp(log(L_k / N_k) / mu)`, a smooth `n max_k log(L_k / N_k)`,

    whose derivative by `L_k` is `n softmax(log(L / N) / mu)_k / L_k`. The nadir `N_k` is what the
    loss is measured by: its mean in the last of the warm-up epochs, in which `O = sum_k log L_k`.
    A task without a loss in that epoch takes the mean of its first epoch, and 1 until then. Epochs
    count from the first `fit` and go on in a resumed one.

    This is the form of the paper's code for multi-task learning (all preferences equal, ideal point
    0 of the losses), and `warmup_epochs` counts the epoch that the nadir is taken from. Losses must
    not be negative; one up to 1e-8 counts as 1e-8, and its task gets no gradient in this step.

    Costs K + 1 numbers. For the sake of the task that is furthest behind.

    Args:
        mu: float above 0, the smoothness; the lower, the more the worst task counts.
            Defaults to 1.
        warmup_epochs: int from 1, the number of epochs before the nadir is known. Defaults to 5.

    Raises:
        ValueError: if `mu` or `warmup_epochs` is out of its range.

    Example:
        >>> model.compile("adam", balancer="stch")

    Reference: Lin et al., Smooth Tchebycheff Scalarization for Multi-Objective Optimization, ICML
    2024.
    """

    def __init__(self, mu=1.0, warmup_epochs=5, **kwargs):
        super().__init__(**kwargs)
        if not mu > 0 or warmup_epochs < 1 or warmup_epochs != int(warmup_epochs):
            raise ValueError(
                "`SmoothTchebycheff` needs `mu` above 0 and a whole number of `warmup_epochs`, at "
                f"least 1. Received: mu={mu}, warmup_epochs={warmup_epochs}. "
                "The defaults are 1 and 5."
            )
        self.mu = mu
        self.warmup_epochs = warmup_epochs

    def build(self, losses_shape):
        # 0 stands for a nadir that is not known.
        self.nadir = self.add_weight(
            shape=losses_shape, initializer="zeros", trainable=False, name="nadir"
        )
        self.epochs = self.add_weight(shape=(), initializer="zeros", trainable=False, name="epochs")

    def call(self, losses, present):
        warmup = ops.sum(present * safe_log(losses))
        scores = present_scores(self._scores(losses), present)
        smooth = ops.sum(present) * self.mu * ops.logsumexp(scores)
        return ops.where(self._in_warmup(), warmup, smooth)

    def task_weights(self, losses, present):
        shares = ops.sum(present) * present_softmax(self._scores(losses), present)
        return ops.where(self._in_warmup(), present, shares) * safe_log_slope(losses)

    def _in_warmup(self):
        return self.epochs.value < self.warmup_epochs

    def _scores(self, losses):
        nadir = ops.where(self.nadir.value > 0, self.nadir.value, 1.0)
        return (safe_log(losses) - ops.log(nadir)) / self.mu

    def end_epoch(self, losses):
        losses = np.asarray(losses, "float32")
        nadir = ops.convert_to_numpy(self.nadir)
        epochs = ops.convert_to_numpy(self.epochs) + 1
        if epochs >= self.warmup_epochs:
            new = (nadir == 0) & np.isfinite(losses) & (losses > 0)
            self.nadir.assign(np.where(new, losses, nadir))
        self.epochs.assign(epochs)

    def get_config(self):
        return {**super().get_config(), "mu": self.mu, "warmup_epochs": self.warmup_epochs}
