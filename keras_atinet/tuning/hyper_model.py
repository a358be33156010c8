"""Hyperparameter search with KerasTuner: `pip install "keras-atinet[tuner]"`."""

import math

import keras

from keras_atinet import runs
from keras_atinet.balancing import DynamicWeightAverage
from keras_atinet.data import Source, random_mirror
from keras_atinet.evaluation import DeltaM, check_baseline
from keras_atinet.files import WriteError
from keras_atinet.models import ATINet
from keras_atinet.models.segnet import DEFAULT_FILTERS
from keras_atinet.tasks import standardize_tasks
from keras_atinet.training import PhaseSwitch

try:
    import keras_tuner
except ImportError as error:
    raise ImportError(
        '`keras_atinet.tuning` needs KerasTuner: `pip install "keras-atinet[tuner]"`.'
    ) from error

BALANCERS = ("dwa", "equal", "uncertainty", "famo", "cagrad")
ENCODER_ARGUMENTS = ("encoder", "encoder_weights", "decoder", "freeze_encoder")


class MultiTaskHyperModel(keras_tuner.HyperModel):
    """What a search varies, and how a trial is trained, for the tuners of KerasTuner.

    | hyperparameter | values | default |
    |---|---|---|
    | `learning_rate` | 1e-4 to 3e-3, logarithmic; halved halfway | 5e-4 |
    | `width` | 1/8, 1/4, 1/2, 1: the filters over the paper's | 1/4 |
    | `batch_size` | 2, 4, 8 | 8 |
    | `balancer` | `"dwa"`, `"equal"`, `"uncertainty"`, `"famo"`, `"cagrad"` | `"dwa"` |
    | `temperature` | 0.5 to 5, logarithmic; of `"dwa"` only | 2 |
    | `switch_at` | 0.3 to 0.7; of networks with two phases only | 0.5 |

    Where they are registered before, these vary as well: `encoder` (a name or a .keras file, as for
    `keras-atinet train`), `encoder_weights`, `decoder`, `freeze_encoder`, as for the networks, and
    `encoder_lr`, the `encoder_lr_multiplier` of `compile`.

    A trial is judged by all its tasks: `val_delta_m` at its best epoch, in percent. To narrow the
    space, register a hyperparameter of the same name before (`hyperparameters=` of a tuner); to
    extend it, override a method (`optimizer`, `filters`, `balancer`, `batch_size`, `switch_at`,
    `encoder`).

    Args:
        tasks: as for `ATINet`.
        baseline: dict, task name -> metric name -> value, what `delta_m` compares with.
        network: function of `tasks`, `input_shape`, `filters` and what `encoder` gives that returns
            a `MultiTaskModel`, a network's class for instance. Defaults to `ATINet`.
        image_size: `(height, width)` in pixels, divisible by 32. Defaults to `(288, 384)`.
        average: `"metrics"` or `"tasks"`, see `keras_atinet.evaluation.delta_m`. Defaults to
            `"metrics"`.
        augment: as for `keras_atinet.data.pipeline`. Defaults to mirroring by chance.
        seed: int, of weights, order and augmentation, the same in every trial. Defaults to 0.

    Raises:
        ValueError: if the baseline lacks a task or holds a value that is 0 or not finite.
        ImportError: by this module, if KerasTuner is not installed.

    Example:

    ```python
    hypermodel = MultiTaskHyperModel(("depth", "normal"), baseline, image_size=(96, 128))
    narrower = keras_tuner.HyperParameters()
    narrower.Fixed("batch_size", 8)
    tuner = keras_tuner.BayesianOptimization(
        hypermodel, hypermodel.objective, max_trials=20, hyperparameters=narrower
    )
    tuner.search(train, validation_data=val, epochs=30)  # sources, see `keras_atinet.data`
    ```
    """

    def __init__(
        self,
        tasks,
        baseline,
        network=ATINet,
        image_size=(288, 384),
        average="metrics",
        augment=random_mirror,
        seed=0,
    ):
        super().__init__()
        self.tasks = standardize_tasks(tasks)
        check_baseline(baseline, self.tasks)
        self.baseline = baseline
        self.network = network
        self.image_size = tuple(image_size)
        self.average = average
        self.augment = augment
        self.seed = seed

    @property
    def objective(self):
        """The `keras_tuner.Objective` to give to a tuner."""
        return keras_tuner.Objective("val_delta_m", "max")

    def build(self, hp):
        """The compiled model of a trial."""
        keras.utils.set_random_seed(self.seed)
        input_shape = (*self.image_size, 3)
        model = self.network(
            tasks=self.tasks,
            input_shape=input_shape,
            filters=self.filters(hp),
            **self.encoder(hp),
        )
        # One task needs no balancer, and no search for it.
        balancer = self.balancer(hp) if len(self.tasks) > 1 else "equal"
        model.compile(
            self.optimizer(hp),
            balancer,
            encoder_lr_multiplier=hp.get("encoder_lr") if "encoder_lr" in hp else None,
        )
        # Now, so that a tuner that loads the weights of a trial finds where its state belongs.
        model.build_optimizer()
        # What only training needs must be known before the first trial as well.
        self.batch_size(hp)
        if hasattr(model, "distillation_active"):
            self.switch_at(hp)
        return model

    def fit(
        self,
        hp,
        model,
        x=None,
        y=None,
        validation_data=None,
        epochs=1,
        callbacks=(),
        train=None,
        **kwargs,
    ):
        """Trains a trial.

        The learning rate is halved halfway unless the optimizer has a schedule of its own.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: from `build`.
            x: a `Source`, batched here; arrays, with their targets in `y`, in batches of
                `batch_size`; or a dataset of batches, where `batch_size` has no effect. `augment`
                is for sources. `train` is another name for it.
            y: targets of arrays. A dataset in its place is `validation_data`.
            validation_data: as `x`, arrays as `(x, y)`.
            epochs: int. Defaults to 1.
            callbacks, **kwargs: as for `model.fit`.

        Returns:
            `keras.callbacks.History` with `val_delta_m`.

        Raises:
            keras_tuner.errors.FatalRuntimeError: if the last trial of a tuner fails as all did
                before it; of trials that fail, KerasTuner says nothing.
        """
        x = train if x is None else x
        if y is not None and not (isinstance(y, (dict, list)) or hasattr(y, "shape")):
            y, validation_data = None, y
        if y is not None:
            kwargs.setdefault("batch_size", self.batch_size(hp))
        own = [DeltaM(self.baseline, self.average)]
        rate = model.optimizer.learning_rate
        if isinstance(rate, keras.Variable):  # no schedule, nor a function
            rate = float(rate)
            half = epochs / 2
            halve = keras.callbacks.LearningRateScheduler(lambda e: rate if e < half else rate / 2)
            own.append(halve)
        if hasattr(model, "distillation_active"):
            own.append(PhaseSwitch(at=self.switch_at(hp), seed=self.seed))
        order = {"shuffle": True, "augment": self.augment, "seed": self.seed}
        tuners = [callback.tuner for callback in callbacks if hasattr(callback, "tuner")]
        try:
            history = model.fit(
                self._batches(x, hp, **order),
                y,
                validation_data=self._batches(validation_data, hp),
                epochs=epochs,
                # In front, because the tuner keeps the epoch with the best `val_delta_m`.
                callbacks=[*own, *(_of_epochs(callback, model) for callback in callbacks)],
                **kwargs,
            )
            # KerasTuner would end without a word, with trials that have no score.
            if tuners and tuners[0].oracle.objective.name == self.objective.name:
                _check_objective(history.history.get(self.objective.name))
                replace_nan(history, self.objective.name)
            return history
        except WriteError as error:
            # No fault of these values: the next trial could not be written either.
            raise keras_tuner.errors.FatalRuntimeError(str(error)) from error
        except Exception as error:
            if tuners and is_without_result(tuners[0]):
                raise keras_tuner.errors.FatalRuntimeError(
                    no_result(tuners[0].oracle.trials.values(), error)
                ) from error
            raise

    def optimizer(self, hp):
        """A `keras.optimizers.Optimizer`."""
        return keras.optimizers.Adam(
            hp.Float("learning_rate", 1e-4, 3e-3, sampling="log", default=5e-4)
        )

    def filters(self, hp):
        """Five ints, the width of each level."""
        width = hp.Choice("width", [0.125, 0.25, 0.5, 1.0], default=0.25)
        return [max(1, round(width * filters)) for filters in DEFAULT_FILTERS]

    def encoder(self, hp):
        """Dict, the arguments of the network for its encoder; empty for the paper's SegNet."""
        arguments = {name: hp.get(name) for name in ENCODER_ARGUMENTS if name in hp}
        if "encoder" in arguments:
            arguments["encoder"] = runs.open_encoder(arguments["encoder"])
        return arguments

    def balancer(self, hp):
        """What `compile(balancer=...)` takes."""
        name = hp.Choice("balancer", list(BALANCERS))
        with hp.conditional_scope("balancer", ["dwa"]):
            temperature = hp.Float("temperature", 0.5, 5.0, sampling="log", default=2.0)
        return DynamicWeightAverage(temperature) if name == "dwa" else name

    def batch_size(self, hp):
        """Images in a batch, int."""
        return hp.Choice("batch_size", [2, 4, 8], default=8)

    def switch_at(self, hp):
        """Share of the epochs before the second phase, a float in `[0, 1]`."""
        return hp.Float("switch_at", 0.3, 0.7, step=0.1, default=0.5)

    def _batches(self, data, hp, **order):
        if not isinstance(data, Source):
            return data
        return runs.get_batches(data, self.tasks, self.image_size, self.batch_size(hp), **order)


def _of_epochs(callback, model):
    """A tuner's callback without its hooks of batches, for which Keras would wait in each step.

    Not where the tuner overrides what they call.
    """
    tuner = getattr(callback, "tuner", None)
    if getattr(type(tuner), "on_batch_end", None) is not keras_tuner.Tuner.on_batch_end:
        return callback
    if type(tuner).on_batch_begin is not keras_tuner.Tuner.on_batch_begin:
        return callback
    callback.set_model(model)
    return keras.callbacks.LambdaCallback(
        on_epoch_begin=callback.on_epoch_begin, on_epoch_end=callback.on_epoch_end
    )


def _check_objective(values):
    if values is None:
        raise ValueError(
            "A trial is judged by `val_delta_m`, on held-out data. Received: none. Give "
            "`tuner.search` `validation_data`, or `validation_split` for arrays."
        )
    if not any(map(math.isfinite, values)):
        raise ValueError(
            "A trial is judged by `val_delta_m`, which must be a finite number in an epoch. "
            f"Received: {values}. Check that the held-out data have labels."
        )


def replace_nan(history, name):
    """Makes epochs whose value is to be greatest, but is not finite, the worst of a `History`.

    KerasTuner takes the first epoch for the best so far, and no number is better than NaN.
    """
    values = history.history[name]
    history.history[name] = [value if math.isfinite(value) else -math.inf for value in values]


def has_result(trial):
    """Whether a trial of KerasTuner has a score, which is NaN where `val_delta_m` was."""
    return trial.score is not None and math.isfinite(trial.score)


def is_without_result(tuner):
    """Whether a tuner is in its last trial, and none has a result."""
    return (
        isinstance(tuner.oracle, keras_tuner.Oracle)
        and tuner.remaining_trials == 0
        and not any(map(has_result, tuner.oracle.trials.values()))
    )


def no_result(trials, error=None):
    """The message for a search in which no trial gave a result.

    Args:
        trials: iterable of `Trial` of KerasTuner, in order.
        error: the exception that ended the last of them, if KerasTuner does not know it yet.
    """
    first = next((trial.message for trial in trials if trial.message), None)
    if first:
        # A traceback, whose lines but for those of the error are indented.
        lines = first.strip().splitlines()
        while len(lines) > 1 and any(line.startswith("  ") for line in lines[:-1]):
            del lines[0]
        first = " ".join(lines)
    elif error is not None:
        first = f"{type(error).__name__}: {error}"
    else:
        first = "its `val_delta_m` was not finite"
    return f"No trial of the search gave a result. The first one failed: {first.strip()}"
