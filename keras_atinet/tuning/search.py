"""A search for hyperparameters: its data, its baseline, its tuner, its results."""

import contextlib
import csv
import itertools
import math
import shlex

from keras_atinet import data, evaluation, runs
from keras_atinet.evaluation.results import from_json
from keras_atinet.files import WriteError, read_json, replacing, write_json
from keras_atinet.runs.bottom_line import BottomLine
from keras_atinet.runs.epoch_table import TrainingBar
from keras_atinet.tuning import workers
from keras_atinet.tuning.hyper_model import (
    BALANCERS,
    ENCODER_ARGUMENTS,
    MultiTaskHyperModel,
    has_result,
    keras_tuner,
    no_result,
)
from keras_atinet.tuning.trial_table import TrialTable, best_trials, shown

_BASELINE_BATCH = 8
_HELD_OUT = 0.2
_SHOWN_TRIALS = 5
_DEFINITIONS = {
    "metrics": "mean over all metrics",
    "tasks": "mean over tasks of the mean over a task's metrics",
}


class _Showing:
    """The part of a tuner that shows its trials in a `TrialTable`."""

    _table = None

    def show(self, table):
        self._table = table

    def on_trial_begin(self, trial):
        super().on_trial_begin(trial)
        if self._table:
            self._table.begin()

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        if self._table:
            self._table.end(self.oracle.get_trial(trial.trial_id))


class _Bayesian(_Showing, keras_tuner.BayesianOptimization):
    pass


class _Random(_Showing, keras_tuner.RandomSearch):
    pass


def open_data(settings):
    """What to learn from and what to judge by: two sources."""
    splits = settings["splits"] or data.splits(settings["data"])[:1]
    if len(splits) > 2:
        raise ValueError(
            f"`--splits` takes one part, a fifth of which is held out, or two. Received: {splits}."
        )
    settings = {**settings, "splits": splits}
    sources = [runs.get_source(settings, split) for split in splits]
    return tuple(sources) if len(sources) == 2 else data.hold_out(sources[0], _HELD_OUT)


def check_encoders(settings):
    """Refuses what the options say of encoders, before any data are read.

    Raises:
        ValueError, FileNotFoundError: as `runs.check_network`, of each encoder and decoder.
    """
    names = (*ENCODER_ARGUMENTS, "encoder_lr")
    values = [settings[name] or [None] for name in names]
    for combination in itertools.product(*values):
        network = {"model": settings["model"], "epochs": settings["epochs"]}
        network |= dict(zip(names, combination, strict=True))
        runs.check_network({**runs.DEFAULT, **network})


def get_tuner(settings, train, validation, out):
    """A tuner of KerasTuner that knows the trials which are in its folder already."""
    tasks = runs.get_tasks(train, settings["tasks"], single=settings["model"] == "single")
    runs.check_labels((train, validation), tasks)
    hypermodel = MultiTaskHyperModel(
        tasks,
        baseline=_baseline(settings, tasks, train, validation, out / "baseline.json"),
        network=runs.MODELS[settings["model"]],
        image_size=settings["image_size"],
        average=settings["average"],
        seed=settings["seed"],
    )
    tuner = {"bayesian": _Bayesian, "random": _Random}[settings["algorithm"]](
        hypermodel,
        hypermodel.objective,
        max_trials=settings["max_trials"],
        seed=settings["seed"] + 1,  # 0 would mean no seed
        hyperparameters=_space(settings, keras_tuner.HyperParameters()),
        directory=out,
        project_name="trials",
    )
    is_worker = not isinstance(tuner.oracle, keras_tuner.Oracle)
    if not is_worker and (out / "trials" / "oracle.json").exists():
        # KerasTuner looks for what a process of the same name left.
        tuner.oracle.reload()
    return tuner


def run(tuner, train, validation, max_trials, epochs, verbose=None):
    """Runs the trials that are left.

    Args:
        tuner, train, validation: from `get_tuner` and `open_data`.
        max_trials, epochs: int, of the search.
        verbose: 0, 1 or 2, as KerasTuner and `fit` take it; or None for a row for each trial.

    Returns:
        The error that ended the last one, or None, if no trial gave a result; else None.

    Raises:
        KeyboardInterrupt: on Ctrl-C and SIGTERM.
        WriteError: if the disk is full, for instance.
    """
    is_alone = not workers.is_worker_or_chief()
    if verbose is None and not is_alone:
        verbose = 2  # KerasTuner's words in the chief's log, Keras's in those of the workers
    callbacks = []
    with contextlib.ExitStack() as stack:
        if is_alone:
            # A chief has no batches, and a worker may wait for a trial.
            callbacks.append(stack.enter_context(runs.Interruption()))
        if verbose is None:
            callbacks.append(TrainingBar(stack.enter_context(BottomLine())))
            tuner.show(TrialTable(tuner.oracle.get_space(), max_trials))
        options = {"epochs": epochs, "verbose": verbose or 0, "callbacks": callbacks}
        try:
            tuner.search(train, validation_data=validation, **options)
        except RuntimeError as error:  # of KerasTuner, after several failures one after the other
            if isinstance(cause := error.__cause__, WriteError):
                raise WriteError(f"{cause} The same command goes on with the search.") from error
            if any(map(has_result, tuner.oracle.trials.values())):
                raise
            return error.__cause__


def report(tuner, settings, out, error=None):
    """Writes `results.csv` and `best.keras`, and prints the best trials.

    Raises:
        ValueError: if no trial gave a result, with the error of the first.
    """
    trials = sorted(tuner.oracle.trials.values(), key=lambda trial: -_score(trial))
    names = [hyperparameter.name for hyperparameter in tuner.oracle.get_space().space]
    with replacing(out / "results.csv") as new, new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "status", "delta_m", "best_epoch", *names])
        for trial in trials:
            epoch = "" if trial.best_step is None else trial.best_step + 1
            values = [trial.hyperparameters.values.get(name, "") for name in names]
            writer.writerow([trial.trial_id, trial.status.lower(), trial.score, epoch, *values])
    done = [trial for trial in trials if has_result(trial)]
    if not done:
        where = f"The whole errors are in '{out / 'trials'}'."
        raise ValueError(f"{no_result(tuner.oracle.trials.values(), error)}\n{where}")
    print(f"\n{len(done)} of {len(trials)} trials gave a result.")
    print(f"delta-m in percent, {_DEFINITIONS[settings['average']]}; the best of them:")
    print("\n".join(best_trials(done[:_SHOWN_TRIALS], tuner.oracle.get_space())))
    (model,) = tuner.get_best_models(1)
    model.save(out / "best.keras")
    print(f"\n{out / 'best.keras'}\n{out / 'results.csv'}\nTo train with the best values:")
    print(shlex.join(_train_command(model, done[0].hyperparameters.values, settings)))


def _baseline(settings, tasks, train, validation, file):
    # Kept, so that all processes have the same, and none computes it again.
    if file.exists():
        return read_json(file)
    if settings["baseline"]:
        baseline = _read_baselines(settings["baseline"])
    else:
        baseline = _constants(tasks, train, validation, settings["image_size"])
    evaluation.check_baseline(baseline, tasks)
    write_json(file, baseline)
    return baseline


def _constants(tasks, train, validation, image_size):
    batches = runs.get_batches(validation, tasks, image_size, _BASELINE_BATCH)
    constants = runs.constant_baseline(train, tasks, image_size, _BASELINE_BATCH, batches)
    # Some shares are 0 for a constant, and a task without labels has none: nothing to divide by.
    return {
        task: {name: value for name, value in values.items() if value and math.isfinite(value)}
        for task, values in constants.items()
    }


def _read_baselines(files):
    baseline = {}
    for file in files:
        try:
            baseline |= from_json(read_json(file)["results"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                "`--baseline` takes files that `keras-atinet evaluate --json FILE` wrote. "
                f"Received: '{file}', which is none."
            ) from error
    return baseline


def _space(settings, hp):
    """Registers what the options narrow; `MultiTaskHyperModel` registers the rest."""
    for name in (*ENCODER_ARGUMENTS, "width", "batch_size"):
        if settings[name]:
            hp.Choice(name, settings[name])
    if settings["balancers"] or settings["temperature"]:
        hp.Choice("balancer", settings["balancers"] or list(BALANCERS))
    _range(hp, "learning_rate", settings["learning_rate"], sampling="log")
    if settings["temperature"]:
        with hp.conditional_scope("balancer", ["dwa"]):
            _range(hp, "temperature", settings["temperature"], sampling="log")
    _range(hp, "encoder_lr", settings["encoder_lr"], sampling="log")
    _range(hp, "switch_at", settings["switch_at"])
    return hp


def _range(hp, name, values, sampling="linear"):
    if values and len(values) == 1:
        hp.Fixed(name, values[0])
    elif values:
        hp.Float(name, min(values), max(values), sampling=sampling)


def _score(trial):
    return trial.score if has_result(trial) else float("-inf")


def _train_command(model, values, settings):
    command = ["keras-atinet", "train", "--data", settings["data"], "--model", settings["model"]]
    if settings["tasks"]:
        command += ["--tasks", *settings["tasks"]]
    options = {
        "--image-size": settings["image_size"],
        "--filters": model.get_config()["filters"],
        "--epochs": [settings["epochs"]],
        "--batch-size": [values["batch_size"]],
        "--learning-rate": [f"{values['learning_rate']:.4g}"],
        "--seed": [settings["seed"]],
    }
    for name in (*ENCODER_ARGUMENTS, "encoder_lr", "balancer", "temperature", "switch_at"):
        # No frozen epochs are the default, and no number for `--freeze-encoder`.
        if name in values and (values[name] or name != "freeze_encoder"):
            options[f"--{name.replace('_', '-')}"] = [shown(values[name])]
    if settings["data"] == runs.ROOMS:
        options["--num-samples"] = [settings["num_samples"]]
    return [*command, *(str(part) for item in options.items() for part in (item[0], *item[1]))]
