"""The training of a run."""

import keras

from keras_atinet.evaluation.mean_error import MeanError
from keras_atinet.evaluation.scoring import num_batches
from keras_atinet.runs.bottom_line import BottomLine
from keras_atinet.runs.config import check_known
from keras_atinet.runs.ctrl_c import Interruption
from keras_atinet.runs.data import check_labels, get_batches, get_notes, get_sources, get_tasks
from keras_atinet.runs.environment import compute_deterministically
from keras_atinet.runs.epoch_table import EpochTable
from keras_atinet.runs.model import count_parameters, get_model
from keras_atinet.runs.patience import Patience
from keras_atinet.runs.recording import Checkpoint, History, TrainingTime
from keras_atinet.runs.saved_model import find_model, load_model
from keras_atinet.runs.schedules import learning_rate, second_phase
from keras_atinet.runs.tensorboard import tensorboard
from keras_atinet.settings import BEST_BY
from keras_atinet.training import PhaseSwitch


def get_callbacks(run, settings, model):
    """Keras's callbacks for a run, in the order in which they must be called."""
    learning_rate(settings, 0)  # refuses settings that do not fit before anything is written
    monitor = BEST_BY[settings["best_by"]]
    best = {"save_best_only": True, "initial_value_threshold": run.best_value()}
    callbacks = [
        TrainingTime(),
        keras.callbacks.LearningRateScheduler(lambda epoch, _: learning_rate(settings, epoch)),
        Checkpoint(run.best, monitor, mode="min", **best),
        Checkpoint(run.last),
        History(run.history),
        run.backup,
    ]
    if settings["tensorboard"]:
        callbacks.append(tensorboard(run.tensorboard, model))
    if settings["patience"]:
        first = second_phase(settings)
        callbacks.append(Patience(settings["patience"], first, run.rows(), monitor))
    if settings["best_by"] == "error":
        callbacks.insert(0, MeanError())
    if hasattr(model, "distillation_active"):
        callbacks.insert(0, PhaseSwitch(at=settings["switch_at"], seed=settings["seed"]))
    return callbacks


def train(run, settings, command, verbose=None, report=print, callbacks=()):
    """Trains a new run, or resumes one that has a backup.

    A process that is killed at any moment loses the epoch that it was in; a resumed run gives the
    numbers of an undisturbed one.

    Args:
        run: `Run`.
        settings: dict with the keys of `DEFAULT`.
        command: str for `config.json`.
        verbose: 0, 1 or 2, as for `fit`; or None for a table of short rows, see `EpochTable`.
        report: function that takes a line of text before training begins.
        callbacks: further callbacks. They are called before the epoch is written down.

    Raises:
        ValueError: if a setting is unknown, the data have no label of a task (`check_labels`), or
            no state to resume from can be read.
        OSError: if the disk is full, or a file cannot be written for another reason. What was
            written before is unchanged; the folder can be resumed.
        FloatingPointError: as `MultiTaskModel.compile` says of `on_nonfinite`. The folder holds
            what the last epoch before left, and can be resumed.
        KeyboardInterrupt: on Ctrl-C and SIGTERM, between two batches (`Interruption`). The folder
            can be resumed.
    """
    check_known(settings)
    if settings["deterministic"]:
        compute_deterministically()
    keras.utils.set_random_seed(settings["seed"])
    sources = get_sources(settings)
    single = settings["model"] == "single"
    of_tasks = settings["averaging"], settings["class_weights"]
    tasks = get_tasks(sources.train, settings["tasks"], single, *of_tasks)
    for note in get_notes(sources.train, settings["tasks"]):
        report(f"Note: {note}")
    check_labels(sources[:2], tasks)
    model = get_model(settings, tasks, run.saved_encoder())
    first = run.restore(model, report)
    if settings["weights"] and not first:
        file, _ = find_model(settings["weights"])
        source = load_model(file, compile=False)
        report(f"Weights of {file}: {model.load_matching_weights(source)}")
    sizes = settings["image_size"], settings["batch_size"]
    order = {"shuffle": True, "augment": settings["augment"], "seed": settings["seed"]}
    batches = get_batches(sources.train, tasks, *sizes, first_epoch=first, **order)
    validation = get_batches(sources.validation, tasks, *sizes)
    callbacks = [*callbacks, *get_callbacks(run, settings, model)]
    if not run.config.exists():
        run.create(settings, command)
    report(
        f"{type(model).__name__} for {', '.join(task.name for task in tasks)}: "
        f"{count_parameters(model):,} parameters, {keras.backend.backend()}.\n"
        f"{sources.describe()}\nWriting to {run.path}"
    )
    with Interruption() as interruption, BottomLine() as line:
        if verbose is None:
            best = run.best_value(), run.monitor()
            callbacks.append(EpochTable(line, num_batches(validation), *best))
        model.fit(
            batches,
            validation_data=validation,
            initial_epoch=first,
            epochs=settings["epochs"],
            verbose=0 if verbose is None else verbose,
            callbacks=[*callbacks, interruption],
        )
    done, patience = len(run.rows()), settings["patience"]
    if patience and done < settings["epochs"]:
        report(
            f"Stopped after {done} of {settings['epochs']} epochs: no lower {run.monitor()} for "
            f"{patience} epoch{'s' if patience > 1 else ''}."
        )
    run.finish()
