"""`keras-atinet info`."""

import importlib.metadata
import math
import pathlib
import shlex
import shutil
import sys
import textwrap

import keras

from keras_atinet import models, runs
from keras_atinet.models.presets.locating import is_preset, presets
from keras_atinet.runs import environment
from keras_atinet.runs.text_table import duration, number

# Those of the paper's table: each takes seconds to build.
_NETWORKS = (
    ("ATINet", models.ATINet, {}),
    ("MTAN", models.MTAN, {}),
    ("PADNet", models.PADNet, {}),
    ("Split(deep=True)", models.Split, {"deep": True}),
    ("SingleTask for segmentation", models.SingleTask, {"tasks": "segmentation"}),
)
_OPTIONAL = (
    *("tensorflow", "tensorflow-datasets", "jax", "torch", "keras-tuner", "matplotlib", "pillow"),
    *("h5py", "pyarrow", "datasets", "huggingface-hub", "kagglehub", "gradio", "imageio-ffmpeg"),
    *("onnx", "tf2onnx", "onnxruntime", "openvino", "nncf", "ai-edge-litert"),
)
_LABEL = 14  # characters
_COMMANDS = ("command", "to resume")


def run(arguments, argv):
    """Prints the facts of a run and of a model; without one, what is installed."""
    if arguments.model is None:
        _print_environment()
        return
    path = pathlib.Path(arguments.model)
    if path.is_dir() and not is_preset(arguments.model):
        # Before its first epoch is done, it has no model.
        folder = runs.Run(path)
        if folder.config.is_file() and not folder.rows():
            _print(_facts_of_run(folder))
            return
    file, folder = runs.find_model(arguments.model)
    if folder:
        _print(_facts_of_run(folder))
        print()
    model = runs.load_model(file)
    _print(_facts(model, file))
    if folder and folder.rows():
        print()
        _print_best_epoch(folder, model.tasks)


def _print(facts):
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf
    for name, value in facts.items():
        line = f"{name:{_LABEL}}{'' if len(name) < _LABEL else '  '}{value}"
        # A command is to be copied.
        if len(line) > width and name not in _COMMANDS:
            indent = " " * _LABEL
            line = textwrap.fill(line, width, subsequent_indent=indent, break_on_hyphens=False)
        print(line)


def _print_environment():
    facts = {
        **environment.versions(),
        "devices": ", ".join(environment.devices()),
        "installed": ", ".join(_installed()),
    }
    _print(facts)
    print("\nPresets, trained networks that come with the package:")
    _print(presets())
    print("\nTrainable parameters of the paper's networks, 13 classes:")
    for name, parameters in _parameters():
        print(f"{name:30}{parameters:12,}")


def _installed():
    for name in _OPTIONAL:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue


def _parameters():
    for name, network, options in _NETWORKS:
        # Nothing is allocated in this scope.
        with keras.StatelessScope():
            model = network(**options)
        yield name, runs.count_parameters(model)


def _facts_of_run(folder):
    config, settings, rows = folder.read_config(), folder.read_settings(), folder.rows()
    splits = settings["splits"]
    train, *others = ("all images" if split is None else repr(split) for split in splits)
    if settings["hold_out"]:
        others.insert(0, f"{100 * settings['hold_out']:g} % of it")
    command = config.get("command", "")
    versions = [f"{name} {version}" for name, version in config.get("versions", {}).items()]
    facts = {
        "run": folder.path,
        "data": f"{settings['data']}; training {train}, validation {others[0]}, test {others[-1]}",
        "epochs": f"{len(rows)} of {settings['epochs']}",
        "made with": ", ".join(versions).replace("backend ", ""),
        "command": command,
    }
    if rows:
        seconds = sum(float(row.get("seconds") or 0) for row in rows)
        facts["trained for"] = f"{duration(seconds)}, {duration(seconds / len(rows))} an epoch"
    if not folder.is_finished():
        # A run of a study goes on with the study.
        is_training = command.startswith("keras-atinet train")
        resume = shlex.join(["keras-atinet", "train", "--resume", str(folder.path)])
        facts["to resume"] = resume if is_training else command
    elif len(rows) < settings["epochs"]:
        facts["epochs"] += f", ended by --patience {settings['patience']}"
    return facts


def _facts(model, file):
    facts = {
        "model": f"{type(model).__name__} ({file})",
        "tasks": ", ".join(f"{task.name} ({task.channels})" for task in model.tasks),
        "input": " x ".join(map(str, model.input_shape[1:])),
        **runs.encoder_facts(model),
        "filters": " ".join(map(str, model.get_config()["filters"])),
        "parameters": f"{runs.count_parameters(model):,} trainable",
        "dtype": model.dtype_policy.name,
    }
    if hasattr(model, "distillation_active"):
        share = model.distillation_share
        names = {0.0: "1 (not distilled)", 1.0: "2 (distilled)"}
        facts["phase"] = names.get(share, f"2 ({share:.0%} distilled)")
    if model.compiled:
        facts["balancer"] = type(model.balancer).__name__
        optimizer = model.get_compile_config()["optimizer"]
        facts["optimizer"] = optimizer if isinstance(optimizer, str) else optimizer["class_name"]
    classes = {task.name: getattr(task, "class_names", None) for task in model.tasks}
    classes = [f"{name}: {', '.join(names)}" for name, names in classes.items() if names]
    if classes:
        facts["classes"] = "; ".join(classes)
    return facts


def _print_best_epoch(folder, tasks):
    row, monitor = folder.best_row(), folder.monitor()
    if row is None:
        print(f"No epoch has a {monitor} that is a number.")
        return
    value = number(float(row[monitor]))
    print(f"Epoch {int(row['epoch']) + 1} is the best, with a {monitor} of {value}:")
    for task in tasks:
        names = ["loss", *(metric.name for metric in task.metrics())]
        values = {name: row.get(f"val_{task.name}_{name}") for name in names}
        shown = [f"{name} {number(float(value))}" for name, value in values.items() if value]
        _print({task.name: ", ".join(shown)})
