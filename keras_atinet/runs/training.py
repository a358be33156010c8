"""The training of a run."""

import keras

from keras_atinet.data import random_mirror
from keras_atinet.evaluation.scoring import num_batches
from keras_atinet.runs.bottom_line import BottomLine
from keras_atinet.runs.ctrl_c import Interruption
from keras_atinet.runs.data import check_labels, get_batches, get_notes, get_sources, get_tasks
from keras_atinet.runs.epoch_table import EpochTable
from keras_atinet.runs.model import count_parameters, get_model
from keras_atinet.runs.recording import Checkpoint, History, TrainingTime
from keras_atinet.training import PhaseSwitch


def get_callbacks(run, settings, model):
    """Keras's callbacks for a run, in the order in which they must be called."""
    rate, epochs = settings["learning_rate"], settings["epochs"]
    callbacks = [
        TrainingTime(),
        keras.callbacks.LearningRateScheduler(lambda e, _: rate if e < epochs / 2 else rate / 2),
        Checkpoint(
            run.best, save_best_only=True, mode="min", initial_value_threshold=run.best_loss()
        ),
        Checkpoint(run.last),
        History(run.history),
        run.backup,
    ]
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
        ValueError: if the data have no label of a task, see `check_labels`.
        FloatingPointError: as `MultiTaskModel.compile` says of `on_nonfinite`. The folder holds
            what the last epoch before left, and can be resumed.
        KeyboardInterrupt: on Ctrl-C and SIGTERM, between two batches (`Interruption`). The folder
            can be resumed.
    """
    keras.utils.set_random_seed(settings["seed"])
    sources = get_sources(settings)
    single = settings["model"] == "single"
    of_tasks = settings["averaging"], settings["class_weights"]
    tasks = get_tasks(sources[0], settings["tasks"], single, *of_tasks)
    for note in get_notes(sources[0], settings["tasks"]):
        report(note)
    check_labels(sources, tasks)
    model = get_model(settings, tasks)
    first = run.backup.restore(model)
    run.forget_after(first)
    sizes = settings["image_size"], settings["batch_size"]
    augment = random_mirror if settings["augment"] else False
    order = {"shuffle": True, "augment": augment, "seed": settings["seed"], "first_epoch": first}
    batches = get_batches(sources[0], tasks, *sizes, **order)
    held_out = get_batches(sources[1], tasks, *sizes)
    callbacks = [*callbacks, *get_callbacks(run, settings, model)]
    if not run.config.exists():
        run.create(settings, command)
    report(
        f"{type(model).__name__} for {', '.join(task.name for task in tasks)}: "
        f"{count_parameters(model):,} parameters, {keras.backend.backend()}.\n"
        f"{len(sources[0])} training and {len(sources[1])} held-out images. Writing to {run.path}."
    )
    with Interruption() as interruption, BottomLine() as line:
        if verbose is None:
            callbacks.append(EpochTable(line, num_batches(held_out), run.best_loss()))
        model.fit(
            batches,
            validation_data=held_out,
            initial_epoch=first,
            epochs=settings["epochs"],
            verbose=0 if verbose is None else verbose,
            callbacks=[*callbacks, interruption],
        )
    run.finish()
