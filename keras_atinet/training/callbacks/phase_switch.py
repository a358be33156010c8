import math
import numbers
import warnings

import keras
import numpy as np

from keras_atinet.training.optimizer import restart

RESETTABLE = ("attention", "heads")
RESTARTS = ("reset", "all")


class PhaseSwitch(keras.callbacks.Callback):
    """Begins the second phase of ATI-Net's training.

    Before the epoch `e_0 = floor(at * epochs)` (counted from 0) it switches the distillation on
    and gives the modules in `reset` (frozen ones apart) new random weights. The optimizer starts
    anew for these weights and for those of the distillation, which had no gradient before: they
    step exactly as under a new optimizer, at the learning rate of the others. With `restart="all"`
    the optimizer starts anew for all weights (a learning rate schedule included), and so does the
    balancer: it forgets the losses that it has seen and the weights that it has learnt.

    The share of the distilled features in what the decoder reads is

    `r = min(1, (e - e_0 + 1) / (ramp + 1))` in epoch e, so 1 at once without a ramp.

    Unless `fit(verbose=0)`, a line says so.

    A model whose distillation is on already, from a file or a resumed `fit`, is not reset again,
    and its r never falls.

    Args:
        at: float in `[0, 1]`, the share of `epochs` trained without distillation; `epochs` is the
            argument of `fit`, so `fit(epochs=1)` has no first phase. 1 never switches, 0 has the
            distillation from the start. Defaults to 0.5.
        reset: `"attention"` (masks and their shared ConvBlocks), `"heads"`, or a sequence of these;
            `()` resets nothing. Defaults to `"attention"`.
        restart: `"reset"` or `"all"`, for which weights the optimizer starts anew. Defaults to
            `"reset"`.
        ramp: int, the number of epochs in which r lies between 0 and 1. Defaults to 0, the paper's
            jump.
        seed: optional int; makes the new weights the same in every run, a resumed one included.

    Raises:
        ValueError: if an argument is none of these.
        TypeError: at `fit`, if the model has no distillation.

    Example:
        >>> model.fit(train, epochs=200, callbacks=[keras_atinet.PhaseSwitch(at=0.5)])

        Reset and restarted as in the authors' published code, which trains the second half in a
        process of its own:

        >>> keras_atinet.PhaseSwitch(reset=("attention", "heads"), restart="all")

    Reference: ATI-Net, Sinodinos and Armanfard, section III.B.
    """

    def __init__(self, at=0.5, reset="attention", restart="reset", ramp=0, seed=None):
        super().__init__()
        if not 0 <= at <= 1:
            raise ValueError(f"`at` of `PhaseSwitch` must lie in [0, 1]. Received: at={at}.")
        reset = (reset,) if isinstance(reset, str) else tuple(reset or ())
        if not set(reset) <= set(RESETTABLE):
            raise ValueError(
                f"`reset` of `PhaseSwitch` may name {RESETTABLE}. Received: reset={reset}."
            )
        if restart not in RESTARTS:
            raise ValueError(
                f"`restart` of `PhaseSwitch` must be one of {RESTARTS}. "
                f"Received: restart={restart!r}."
            )
        if not isinstance(ramp, numbers.Integral) or isinstance(ramp, bool) or ramp < 0:
            raise ValueError(
                "`ramp` of `PhaseSwitch` must be a number of epochs, an int not below 0. "
                f"Received: ramp={ramp!r}."
            )
        self.at = at
        self.reset = reset
        self.restart = restart
        self.ramp = ramp
        self.seed = seed

    def on_train_begin(self, logs=None):
        if not hasattr(self.model, "distillation_share"):
            raise TypeError(
                "`PhaseSwitch` needs a model with distillation to switch on, `ATINet`. "
                f"Received: {type(self.model).__name__}. Leave the callback out."
            )

    def on_epoch_begin(self, epoch, logs=None):
        # The sum guards against 0.29 * 100 = 28.999...
        first = math.floor(self.at * self.params["epochs"] + 1e-9)
        if epoch < first:
            return
        if not self.model.distillation_active:
            if first == 0 < self.at:
                warnings.warn(
                    f"`fit(epochs={self.params['epochs']})` with `PhaseSwitch(at={self.at:g})` has "
                    "no first phase: distillation is on from the start. Call `fit` once with all "
                    "epochs, or say `PhaseSwitch(at=0)`.",
                    stacklevel=2,
                )
            if self.params["epochs"] - first <= self.ramp:
                warnings.warn(
                    f"`PhaseSwitch(ramp={self.ramp})` does not end: there are "
                    f"{self.params['epochs'] - first} epochs from the switch on. Choose a shorter "
                    "ramp.",
                    stacklevel=2,
                )
            self._switch(epoch)
        share = min(1.0, (epoch - first + 1) / (self.ramp + 1))
        self.model.distillation_share = max(self.model.distillation_share, share)

    def _switch(self, epoch):
        layers = [
            layer
            for kind in self.reset
            for layer in self.model.module_layers(kind)
            if layer.trainable
        ]
        # Without a seed, NumPy's global state: `keras.utils.set_random_seed` fixes it.
        seed = np.random.randint(2**31 - 1) if self.seed is None else self.seed
        rng = np.random.default_rng(seed)
        for layer in layers:
            reinitialize(layer, rng)
        if self.restart == "all":
            restart(self.model.optimizer)
            self.model.balancer.restart()
        else:
            restart(self.model.optimizer, [*self.reset, "distillation"])
        if self.params.get("verbose") != 0:
            what = " and ".join(self.reset) if layers else "none"
            print(f"Phase 2 from epoch {epoch + 1}: distillation on; new weights: {what}.")


def reinitialize(layer, rng):
    """Gives a layer the weights of a newly made one, with kernels drawn from `rng`."""
    new = type(layer).from_config(layer.get_config())
    new.build_from_config(layer.get_build_config())
    values = []
    for weight in new.weights:
        value = weight.value
        if len(weight.shape) == 4:
            seed = int(rng.integers(2**31))
            value = keras.initializers.GlorotNormal(seed=seed)(weight.shape, dtype=weight.dtype)
        values.append(keras.ops.convert_to_numpy(value))
    layer.set_weights(values)
