import heapq
import math
import threading

import keras
import numpy as np

RESETTABLE = ("attention", "heads")


class BalancerUpdate(keras.callbacks.Callback):
    """Tells the model's balancer the mean training losses of every epoch.

    `MultiTaskModel.fit` adds it, before the user's callbacks, so that what they save is up to date.
    """

    def on_epoch_end(self, epoch, logs=None):
        losses = [logs[f"{task.name}_loss"] for task in self.model.tasks]
        self.model.balancer.end_epoch(np.asarray(losses, "float32"))


class FiniteLosses(keras.callbacks.Callback):
    """Stops training where the loss of a task is NaN or infinite.

    `MultiTaskModel.fit` adds it unless the model is compiled with `on_nonfinite="skip"`.

    Raises:
        FloatingPointError: within two steps after it, naming task and step.
    """

    async_safe = True  # reads logs only

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._waiting, self._lock = epoch, [], threading.Lock()
        # On JAX `self.model` syncs the state, which must not happen while a step replaces it.
        self._names = [task.name for task in self.model.tasks]

    def on_train_batch_end(self, batch, logs=None):
        # Keras calls this from threads on JAX, at times a step before the one that it follows.
        with self._lock:
            heapq.heappush(self._waiting, (batch, logs or {}))
            # Reading the last steps' logs would wait for the device; those before them are there.
            if len(self._waiting) > 2:
                self._check(*heapq.heappop(self._waiting))

    def on_epoch_end(self, epoch, logs=None):
        for step in sorted(self._waiting):
            self._check(*step)

    def _check(self, batch, logs):
        for name in self._names:
            loss = float(logs.get(f"{name}_loss", 0))
            if not np.isfinite(loss):
                raise FloatingPointError(
                    f"The loss of task '{name}' is not finite at step {batch + 1} of epoch "
                    f"{self._epoch + 1}. Received: {loss}. The step was not taken: the weights are "
                    "those from before it. Check this task's targets and the learning rate, or go "
                    'on without such steps: `compile(on_nonfinite="skip")`.'
                )


class PhaseSwitch(keras.callbacks.Callback):
    """Begins the second phase of ATI-Net's training.

    Before the epoch `floor(at * epochs)` (counted from 0) it switches the distillation on, gives
    the modules in `reset` (frozen ones apart) new random weights and zeroes the optimizer's slots
    of these weights (an exponential moving average starts again from the new weights). A model
    whose distillation is on already, from a file or a resumed `fit`, is left alone: nothing is
    repeated or skipped.

    Args:
        at: float in `[0, 1]`, the share of `epochs` trained without distillation; `epochs` is the
            argument of `fit`, so `fit(epochs=1)` has no first phase. 1 never switches.
            Defaults to 0.5.
        reset: `"attention"` (masks and their shared ConvBlocks), `"heads"`, or a sequence of these;
            `()` resets nothing. Defaults to `"attention"`.
        seed: optional int; makes the new weights the same in every run, a resumed one included.

    Raises:
        ValueError: if `at` or `reset` is none of these.
        TypeError: at `fit`, if the model has no distillation.

    Example:
        >>> model.fit(train, epochs=200, callbacks=[keras_atinet.PhaseSwitch(at=0.5)])

    Reference: ATI-Net, Sinodinos and Armanfard, section III.B.
    """

    def __init__(self, at=0.5, reset="attention", seed=None):
        super().__init__()
        if not 0 <= at <= 1:
            raise ValueError(f"`at` of `PhaseSwitch` must lie in [0, 1]. Received: at={at}.")
        reset = (reset,) if isinstance(reset, str) else tuple(reset or ())
        if not set(reset) <= set(RESETTABLE):
            raise ValueError(
                f"`reset` of `PhaseSwitch` may name {RESETTABLE}. Received: reset={reset}."
            )
        self.at = at
        self.reset = reset
        self.seed = seed

    def on_train_begin(self, logs=None):
        if not hasattr(self.model, "distillation_active"):
            raise TypeError(
                "`PhaseSwitch` needs a model with distillation to switch on, `ATINet`. "
                f"Received: {type(self.model).__name__}. Leave the callback out."
            )

    def on_epoch_begin(self, epoch, logs=None):
        # The sum guards against 0.29 * 100 = 28.999...
        switch_epoch = math.floor(self.at * self.params["epochs"] + 1e-9)
        if epoch < switch_epoch or self.model.distillation_active:
            return
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
        reset_optimizer_slots(self.model.optimizer, layers)
        self.model.distillation_active = True
        what = " and ".join(self.reset) or "nothing"
        print(f"\nPhaseSwitch: distillation on from epoch {epoch + 1}; reinitialised: {what}.")


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


def reset_optimizer_slots(optimizer, layers):
    """Zeroes what an optimizer remembers of the layers' weights.

    Slots carry the path of their weight in their name (but for the factors of `Adafactor`). A slot
    `average` is the exponential moving average of the weight itself and takes its value.
    """
    for layer in layers:
        for weight in layer.trainable_weights:
            prefix = weight.path.replace("/", "_") + "_"
            for slot in optimizer.variables:
                if slot.name.startswith(prefix) and slot.shape == weight.shape:
                    is_average = slot.name == f"{prefix}average"
                    slot.assign(weight if is_average else keras.ops.zeros(slot.shape, slot.dtype))
