"""The command line: train, evaluate, predict, info."""

import argparse
import importlib.metadata
import json
import os
import pathlib
import shlex
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from keras_atinet import MultiTaskModel, evaluation, runs, visualization
from keras_atinet.balancing import BALANCERS
from keras_atinet.data import resize

_BASELINE_SAMPLES = 200
_PICTURE_SAMPLES = 4
_USER_ERRORS = (ValueError, TypeError, FileNotFoundError, FileExistsError, ImportError)


def main(argv=None):
    """Runs one command.

    Arguments:
        argv: list of str, without the program's name. Defaults to `sys.argv[1:]`.

    Returns:
        int, the exit status: 0, 2 after an error of the user's, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser().parse_args(argv)
    try:
        _use_backend(arguments, argv)
        return arguments.command(arguments, argv) or 0
    except KeyboardInterrupt:
        print("keras-atinet: interrupted", file=sys.stderr)
        return 130
    except _USER_ERRORS as error:
        if arguments.debug or os.environ.get("KERAS_ATINET_DEBUG") == "1" or not _is_ours(error):
            raise
        print(f"keras-atinet: error: {error}", file=sys.stderr)
        return 2


def _use_backend(arguments, argv):
    # Keras fixes its backend when it is imported, so another one needs a new process.
    backend = getattr(arguments, "backend", None)
    if backend is None and getattr(arguments, "resume", None):
        backend = runs.Run(arguments.resume).read_config()["versions"]["backend"]
    if backend in (None, keras.backend.backend()):
        return
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-m", "keras_atinet", *argv]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)


def _is_ours(error):
    # Raised by a check of this package; anything else is a bug and shows its traceback.
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    package = pathlib.Path(__file__).parent
    return package in pathlib.Path(traceback.tb_frame.f_code.co_filename).parents


def _train(arguments, argv):
    explicit = {key: value for key, value in vars(arguments).items() if key in runs.DEFAULT}
    if arguments.resume:
        if explicit or "recipe" in arguments or arguments.out:
            raise ValueError(
                "`--resume` takes all settings from the run. "
                f"Received also: {sorted(explicit)}. Leave them out, or start a new run."
            )
        run = runs.Run(arguments.resume)
        settings = run.read_config()["settings"]
    else:
        settings = {**runs.RECIPES[getattr(arguments, "recipe", "default")], **explicit}
        if settings["data"] != "rooms":
            settings["data"] = str(pathlib.Path(settings["data"]).resolve())
        run = runs.Run(arguments.out or _new_folder(settings))
        _check_empty(run.path)
    if arguments.resume and run.is_finished():
        print(f"The run {run.path} is finished: {settings['epochs']} epochs.")
    else:
        command = shlex.join(["keras-atinet", *argv])
        try:
            runs.train(run, settings, command, _verbose(arguments))
        except KeyboardInterrupt:
            print(f"\nStopped. Go on with: keras-atinet train --resume {shlex.quote(str(run.path))}")
            if run.best.is_file():
                _draw(run, keras.saving.load_model(run.best), settings)
            return 130
    _report(run, settings)
    return 0


def _new_folder(settings):
    stem = f"{settings['model']}-{pathlib.Path(settings['data']).name}"
    number = 1
    while (path := pathlib.Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return path


def _check_empty(path):
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(
            f"`--out` must be a new or an empty folder. Received: '{path}'. "
            f"Choose another, or go on with it: --resume {path}"
        )


def _verbose(arguments):
    if arguments.verbose is None:
        return 1 if sys.stdout.isatty() else 2
    return arguments.verbose


def _report(run, settings):
    model = keras.saving.load_model(run.best)
    sizes = settings["image_size"], settings["batch_size"]
    train, test = (runs.get_source(settings, split) for split in settings["splits"])
    held_out = runs.get_batches(test, model.tasks, *sizes)
    results = evaluation.evaluate(model, held_out)
    baseline = _baseline(model.tasks, train, held_out, sizes)
    print(f"\nOn the {len(test)} held-out images, best.keras and the best constant prediction:")
    print(evaluation.table(results, baseline))
    _draw(run, model, settings)
    for path in (run.best, run.last, run.history, run.predictions, run.config):
        if path.exists():
            print(path)


def _baseline(tasks, train, held_out, sizes):
    subset = runs.Subset(train, _BASELINE_SAMPLES)
    constants = evaluation.best_constants(tasks, runs.get_batches(subset, tasks, *sizes))
    return evaluation.evaluate_constants(tasks, constants, held_out)


def _draw(run, model, settings):
    source = runs.Subset(runs.get_source(settings, settings["splits"][1]), _PICTURE_SAMPLES)
    batches = runs.get_batches(source, model.tasks, settings["image_size"], len(source))
    images, targets = next(batches.as_numpy_iterator())
    predictions = model.predict(images, verbose=0)
    try:
        figure = visualization.prediction_grid(images, targets, predictions, model.tasks)
    except ImportError as error:
        print(f"No picture: {error}", file=sys.stderr)
        return
    figure.savefig(run.predictions)


def _parser():
    parser = argparse.ArgumentParser(
        prog="keras-atinet",
        description="Multi-task dense prediction: train, evaluate and use ATI-Net and its peers.",
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands)
    return parser


def _command(commands, name, function, text):
    parser = commands.add_parser(
        name,
        help=text,
        description=text,
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=function)
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    parser.add_argument(
        "--backend", choices=("tensorflow", "jax", "torch"), help="(default: Keras's own choice)"
    )
    return parser


def _add_train(commands):
    parser = _command(commands, "train", _train, "Train a network; without options, a small one.")
    default, paper = runs.DEFAULT, runs.PAPER

    def add(option, help, **kwargs):
        key = option.lstrip("-").replace("-", "_")
        values = [_shown(default[key])]
        if paper[key] != default[key]:
            values.append(f"{_shown(paper[key])} in the paper's recipe")
        parser.add_argument(option, help=f"{help} (default: {'; '.join(values)})", **kwargs)

    add("--data", "'rooms' (made up on the fly) or a folder of images and targets")
    add("--splits", "subfolders to learn from and to hold out", nargs=2)
    add("--model", "the network", choices=runs.MODELS)
    add("--tasks", "what to predict, e.g. depth normal", nargs="+", metavar="TASK")
    add("--image-size", "pixels", nargs=2, type=_positive, metavar=("H", "W"))
    add("--filters", "width of each of the five levels", nargs=5, type=_positive, metavar="N")
    add("--epochs", "passes over the training images", type=_positive, metavar="N")
    add("--batch-size", "images in a batch", type=_positive, metavar="N")
    add("--learning-rate", "Adam's, halved halfway", type=float, metavar="X")
    add("--balancer", "how tasks are weighed", choices=sorted(BALANCERS))
    add("--switch-at", "share of the epochs before ATI-Net's second phase", type=float, metavar="X")
    add("--augment", "mirror training images by chance", action=argparse.BooleanOptionalAction)
    add("--dtype", "precision", choices=("float32", "mixed_bfloat16", "mixed_float16"))
    add("--seed", "of weights and of the order of images", type=int, metavar="N")
    add("--num-samples", "training rooms; a quarter more held out", type=_positive, metavar="N")
    parser.add_argument(
        "--recipe", choices=runs.RECIPES, help="where the defaults come from (default: default)"
    )
    parser.add_argument(
        "--out", default=None, help="run folder, new or empty (default: runs/MODEL-DATA-NUMBER)"
    )
    parser.add_argument(
        "--resume", metavar="RUN", default=None, help="go on with an interrupted run, nothing else"
    )
    _add_verbose(parser)


def _add_verbose(parser):
    parser.add_argument(
        "--verbose",
        type=int,
        choices=(0, 1, 2),
        default=None,
        help="nothing, progress bars, or a line per epoch (default: 1 in a terminal, else 2)",
    )


def _shown(value):
    if isinstance(value, list):
        return " ".join(map(str, value))
    if value is None or isinstance(value, bool):
        return {None: "all", True: "yes", False: "no"}[value]
    return str(value)


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {text}")
    return value
