"""Runs: settings, the model and data that they describe, and the folder that training writes."""

import json
import math
import pathlib
import signal
import threading
import zipfile

import keras

from keras_atinet import models
from keras_atinet.balancing import DynamicWeightAverage
from keras_atinet.data import Batches, Rooms, hold_out, pipeline, random_mirror
from keras_atinet.data.kinds import CLASS_FACTS, kind_of
from keras_atinet.data.opening import open_source
from keras_atinet.environment import machine, versions
from keras_atinet.recording import (
    Backup,
    History,
    TrainingTime,
    read_rows,
    write_rows,
    write_text,
)
from keras_atinet.tasks import TASKS
from keras_atinet.training import PhaseSwitch

ROOMS = "rooms"
DEFAULT = {
    "data": ROOMS,
    "splits": ["train", "test"],
    "model": "atinet",
    "tasks": None,
    "image_size": [64, 96],
    "filters": [16, 32, 64, 64, 64],
    "epochs": 12,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "balancer": "dwa",
    "temperature": 2.0,
    "switch_at": 0.5,
    "augment": True,
    "deep_split": False,
    "dtype": "float32",
    "remat": None,
    "seed": 0,
    "num_samples": 400,
    "hold_out": 0.0,
    "averaging": "pixel",
}
PAPER = {
    **DEFAULT,
    "image_size": [288, 384],
    "filters": [64, 128, 256, 512, 512],
    "epochs": 200,
    "batch_size": 2,
    "learning_rate": 1e-4,
    "augment": False,
    "deep_split": True,
}
RECIPES = {"default": DEFAULT, "paper": PAPER}
MODELS = {
    "atinet": models.ATINet,
    "mtan": models.MTAN,
    "padnet": models.PADNet,
    "split": models.Split,
    "single": models.SingleTask,
}
_TEST_SHARE = 0.25  # held-out rooms for each training room
_CACHE_BYTES = 2**31
_PIXEL_BYTES = 14  # of a cached sample: image, classes, depth, normals


class Run:
    """The files of one training run.

    `config.json` (settings, versions, machine, command), `history.csv` (a row for each epoch),
    `best.keras` (lowest loss on the held-out samples), `last.keras`, `predictions.png`; and
    `backup/`, the state to resume from, while the run is not finished.

    Args:
        path: str or path of the folder.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.config = self.path / "config.json"
        self.history = self.path / "history.csv"
        self.best = self.path / "best.keras"
        self.last = self.path / "last.keras"
        self.predictions = self.path / "predictions.png"
        self.backup = Backup(self.path / "backup")

    def create(self, settings, command):
        self.path.mkdir(parents=True, exist_ok=True)
        config = {"settings": settings, "versions": versions(), "machine": machine()}
        config["command"] = command
        write_text(self.config, json.dumps(config, indent=1) + "\n")

    def read_config(self):
        """What `create` wrote.

        Raises:
            FileNotFoundError: if the folder is not a run.
        """
        if not self.config.is_file():
            raise FileNotFoundError(
                "A run folder holds the file config.json, which `keras-atinet train` writes. "
                f"Received: '{self.path}', which does not."
            )
        return json.loads(self.config.read_text(encoding="utf-8"))

    def rows(self):
        """The rows of the history, dicts of str."""
        return read_rows(self.history)

    def next_epoch(self):
        """The epoch (from 0) that training would go on with."""
        return len(self.rows()) if self.is_finished() else self.backup.epochs()

    def is_finished(self):
        """Whether all epochs are done. The row of an epoch is written after its models."""
        rows = self.rows()
        return bool(rows) and int(rows[-1]["epoch"]) == self.read_config()["settings"]["epochs"] - 1

    def forget_after(self, epoch):
        """Drops what the history says of `epoch` and later ones, which will be trained again."""
        rows = self.rows()
        kept = [row for row in rows if int(row["epoch"]) < epoch]
        if kept:
            write_rows(self.history, kept)
        else:
            self.history.unlink(missing_ok=True)

    def best_loss(self):
        """The held-out loss of `best.keras`, or None if there is no such file yet."""
        losses = [float(row["val_loss"]) for row in self.rows()]
        # A process that was killed while it wrote leaves a file that is no archive.
        return min(losses, default=None) if zipfile.is_zipfile(self.best) else None


class Interruption(keras.callbacks.Callback):
    """Lets Ctrl-C take effect between two batches, so that no file is left half written.

    A second Ctrl-C takes effect at once. Use as a context manager around `fit`.
    """

    def __enter__(self):
        self._requested = False
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *exception):
        if self._is_main:
            signal.signal(signal.SIGINT, self._previous)

    def _on_signal(self, number, frame):
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True

    # Not at its end, for which Keras would wait for the device and fetch the logs of each batch.
    def on_train_batch_begin(self, batch, logs=None):
        if self._requested:
            raise KeyboardInterrupt

    def on_test_batch_begin(self, batch, logs=None):
        if self._requested:
            raise KeyboardInterrupt


def get_source(settings, split):
    """The data of one split."""
    if settings["data"] == ROOMS:
        num_samples = settings["num_samples"]
        if split != settings["splits"][0]:
            num_samples = math.ceil(_TEST_SHARE * num_samples)
        return Rooms(num_samples, settings["image_size"], split)
    return open_source(settings["data"], split, settings["tasks"])


def get_sources(settings):
    """The data to learn from, and the data to hold out.

    These are the two splits of the settings, or two parts of the first if they hold some out.
    """
    first, second = settings["splits"]
    if settings["hold_out"]:
        return hold_out(get_source(settings, first), settings["hold_out"])
    return get_source(settings, first), get_source(settings, second)


def get_tasks(source, names=None, single=False, averaging="pixel"):
    """`Task` objects for what a source offers.

    Args:
        source: a `Source`.
        names: task keys, or None for all.
        single: bool, take only the first where `names` is None.
        averaging: `"pixel"` or `"batch"`, see `Task`.

    Raises:
        ValueError: if the source lacks a task, or there is no `Task` for it.
    """
    if names is None:
        names = list(source.tasks)[: 1 if single else None]
    tasks = []
    for name in names:
        facts = source.tasks.get(name)
        task = None if facts is None else TASKS.get(kind_of(name, facts))
        if task is None:
            raise ValueError(
                f"The data offers the tasks {sorted(source.tasks)}. Received: {name!r}. "
                "Choose some of them."
            )
        known = {key: facts[key] for key in CLASS_FACTS if key in facts}
        tasks.append(task(name=name, averaging=averaging, **known))
    return tasks


def get_batches(source, tasks, image_size, batch_size, **kwargs):
    """`data.pipeline`, or `data.Batches` where TensorFlow is not the backend and may be absent.

    What is small is kept in memory.
    """
    make = pipeline if keras.backend.backend() == "tensorflow" else Batches
    cache = len(source) * math.prod(image_size) * _PIXEL_BYTES <= _CACHE_BYTES
    return make(source, None, image_size, batch_size, tasks=tasks, cache=cache, **kwargs)


def get_model(settings, tasks):
    """The compiled model."""
    kind = MODELS[settings["model"]]
    options = {"deep": settings["deep_split"]} if kind is models.Split else {}
    if settings["remat"]:
        if kind not in (models.ATINet, models.MTAN):
            raise ValueError(
                "The setting `remat` is for the models atinet and mtan, which have attention. "
                f"Received: remat='{settings['remat']}' for '{settings['model']}'."
            )
        options["remat"] = settings["remat"]
    model = kind(
        tasks=tasks,
        input_shape=(*settings["image_size"], 3),
        filters=settings["filters"],
        dtype=settings["dtype"],
        **options,
    )
    balancer = settings["balancer"]
    if balancer == "dwa":
        balancer = DynamicWeightAverage(settings["temperature"])
    model.compile(keras.optimizers.Adam(settings["learning_rate"]), balancer)
    return model


def count_parameters(model):
    """The number of trainable parameters."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def get_callbacks(run, settings, model):
    """Keras's callbacks for a run, in the order in which they must be called."""
    rate, epochs = settings["learning_rate"], settings["epochs"]
    callbacks = [
        TrainingTime(),
        keras.callbacks.LearningRateScheduler(lambda e, _: rate if e < epochs / 2 else rate / 2),
        keras.callbacks.ModelCheckpoint(
            run.best, save_best_only=True, mode="min", initial_value_threshold=run.best_loss()
        ),
        keras.callbacks.ModelCheckpoint(run.last),
        History(run.history),
        run.backup,
    ]
    if hasattr(model, "distillation_active"):
        callbacks.insert(0, PhaseSwitch(at=settings["switch_at"], seed=settings["seed"]))
    return callbacks


def train(run, settings, command, verbose=1, report=print, callbacks=()):
    """Trains a new run, or goes on with one that has a backup.

    A process that is killed at any moment loses the epoch that it was in; what goes on gives the
    numbers of a run that was not disturbed.

    Args:
        run: `Run`.
        settings: dict with the keys of `DEFAULT`.
        command: str for `config.json`.
        verbose: 0, 1 or 2, as for `fit`.
        report: function that takes a line of text before training begins.
        callbacks: further callbacks. They are called before the epoch is written down.

    Raises:
        KeyboardInterrupt: on Ctrl-C, between two batches. The folder can be resumed.
    """
    keras.utils.set_random_seed(settings["seed"])
    sources = get_sources(settings)
    single = settings["model"] == "single"
    tasks = get_tasks(sources[0], settings["tasks"], single, settings["averaging"])
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
        f"{count_parameters(model):,} parameters, {keras.backend.backend()}. "
        f"{len(sources[0])} training and {len(sources[1])} held-out images. Writing to {run.path}."
    )
    with Interruption() as interruption:
        model.fit(
            batches,
            validation_data=held_out,
            initial_epoch=first,
            epochs=settings["epochs"],
            verbose=verbose,
            callbacks=[*callbacks, interruption],
        )
    run.backup.discard()
