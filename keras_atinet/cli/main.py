"""The command line: `keras-atinet train`, `evaluate`, `predict`, `export`, `reproduce`, ..."""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from keras_atinet import runs, study
from keras_atinet.balancing import BALANCERS
from keras_atinet.cli import commands
from keras_atinet.cli import data as data_commands
from keras_atinet.cli import export as export_commands
from keras_atinet.cli import search as search_command
from keras_atinet.cli import study as study_commands
from keras_atinet.exporting import FORMATS, QUANTIZED

_SOURCES = (
    "folder of images and targets, of MTAN arrays, of parquet files, or one that `data prepare` "
    "wrote; nyu_depth_v2_labeled.mat; huggingface:NAME; tfds:NAME"
)
_USER_ERRORS = (ValueError, TypeError, FileNotFoundError, FileExistsError, ImportError)


def main(argv=None):
    """Runs one command.

    Args:
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
        debug = arguments.debug or os.environ.get("KERAS_ATINET_DEBUG") == "1"
        if debug or not _is_check(error):
            raise
        print(f"keras-atinet: error: {error}", file=sys.stderr)
        return 2


def _use_backend(arguments, argv):
    # Keras fixes its backend when it is imported, so another one needs a new process.
    backend = arguments.backend
    if backend is None and getattr(arguments, "resume", None):
        backend = runs.Run(arguments.resume).read_config()["versions"]["backend"]
    if backend is None and getattr(arguments, "format", None):
        backend = FORMATS[arguments.format].backend
    if backend in (None, keras.backend.backend()):
        return
    sys.stdout.flush()
    command = [sys.executable, "-m", "keras_atinet", *argv]
    os.execve(sys.executable, command, {**os.environ, "KERAS_BACKEND": backend})


def _is_check(error):
    # Whether this package raised the error itself. Anything else deserves its traceback.
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    package = pathlib.Path(__file__).parents[1]
    return package in pathlib.Path(traceback.tb_frame.f_code.co_filename).parents


def _parser():
    parser = argparse.ArgumentParser(
        prog="keras-atinet",
        description="Multi-task dense prediction: train, evaluate and use ATI-Net and its peers.",
        epilog="`keras-atinet COMMAND --help` has the options of a command.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(subparsers)
    _add_evaluate(subparsers)
    _add_predict(subparsers)
    _add_export(subparsers)
    _add_info(subparsers)
    _add_data(subparsers)
    _add_reproduce(subparsers)
    _add_report(subparsers)
    search_command.add_options(
        _add_command(subparsers, "search", search_command.search, search_command.SUMMARY)
    )
    return parser


def _add_train(subparsers):
    parser = _add_command(
        subparsers,
        "train",
        commands.train,
        "Train a network into a run folder; without options a small ATI-Net on made-up rooms.",
    )
    default, paper = runs.DEFAULT, runs.PAPER

    def add(option, text, **kwargs):
        key = option.lstrip("-").replace("-", "_")
        values = _shown(default[key])
        if paper[key] != default[key]:
            values += f"; recipe paper: {_shown(paper[key])}"
        # An option that is not given leaves its key to the recipe.
        parser.add_argument(
            option, help=f"{text} (default: {values})", default=argparse.SUPPRESS, **kwargs
        )

    add("--data", f"'rooms', made up on the fly; or a {_SOURCES}", metavar="SOURCE")
    text = "parts to learn from and to hold out; else the first two, as train and val"
    add("--splits", text, nargs=2, metavar=("TRAIN", "TEST"))
    add("--model", "the network", choices=list(runs.MODELS))
    text = "what to predict, e.g. depth normal; none named: all, or the first for single"
    add("--tasks", text, nargs="+", metavar="TASK")
    add("--image-size", "pixels, divisible by 32", nargs=2, type=_count, metavar=("H", "W"))
    add("--filters", "width of each of the five levels", nargs=5, type=_count, metavar="N")
    add("--epochs", "passes over the training images", type=_count, metavar="N")
    add("--batch-size", "images in a batch", type=_count, metavar="N")
    add("--learning-rate", "Adam's; halved halfway", type=float, metavar="X")
    add("--balancer", "how the tasks are weighed", choices=list(BALANCERS))
    add("--temperature", "of the balancer dwa", type=float, metavar="X")
    add("--switch-at", "ATI-Net: share of the epochs in phase 1", type=float, metavar="X")
    add("--augment", "mirror training images by chance", action=argparse.BooleanOptionalAction)
    add("--dtype", "precision", choices=("float32", "mixed_bfloat16", "mixed_float16"))
    add("--remat", "atinet and mtan: what to compute twice, for less memory", choices=["attention"])
    add("--seed", "of the weights and of the order of the images", type=int, metavar="N")
    add("--num-samples", "rooms to learn from, plus a quarter held out", type=_count, metavar="N")
    parser.add_argument(
        "--recipe",
        choices=list(runs.RECIPES),
        help="where the defaults come from; paper also makes Split deep (default: default)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="run folder, new or empty (default: runs/MODEL-DATA-NUMBER)",
    )
    parser.add_argument(
        "--resume", metavar="RUN", help="go on with an interrupted run; takes no other settings"
    )
    _add_verbose(parser, "progress bars, or a line per epoch (default: 1 in a terminal, else 2)")


def _add_evaluate(subparsers):
    parser = _add_command(
        subparsers, "evaluate", commands.evaluate, "Print losses and metrics of a model."
    )
    _add_model(parser)
    parser.add_argument("--data", metavar="SOURCE", help="as for train (default: the run's)")
    parser.add_argument("--split", help="part of the data (default: the run's held-out one, test)")
    parser.add_argument(
        "--batch-size", type=_count, metavar="N", help="images in a batch (default: the run's, 8)"
    )
    parser.add_argument(
        "--averaging",
        choices=("pixel", "batch"),
        help="metrics of all pixels, or the mean of those of the batches (default: the model's)",
    )
    parser.add_argument(
        "--baseline", action="store_true", help="print the best constant prediction as well"
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers to a file as well")
    _add_verbose(parser, "progress bars, or one line (default: 0)")


def _add_predict(subparsers):
    parser = _add_command(
        subparsers,
        "predict",
        commands.predict,
        "Predict image files: a picture for each task, and NAME.npz with the arrays at the "
        "network's size (class numbers, metres, unit vectors).",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="picture of any size and format")
    _add_model(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")


def _add_export(subparsers):
    parser = _add_command(
        subparsers,
        "export",
        export_commands.export,
        "Write a trained model, folded for inference, for another runtime; see docs/export.md. "
        "Each format is written on one backend, whichever the model was trained on.",
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="a .keras file, or a run folder for its best model")
    add("--format", required=True, choices=list(FORMATS), help="what to write")
    add("--out", metavar="FILE", help="file or folder to write (default: beside the .keras file)")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--image-size",
        nargs=2,
        type=_count,
        metavar=("H", "W"),
        help="pixels, divisible by 32 (default: the model's)",
    )
    sizes.add_argument("--any-size", action="store_true", help="take images of any such size")
    add("--batch-size", type=_count, metavar="N", help="the only one to take (default: any)")
    group = parser.add_argument_group(f"int8, of {' and '.join(QUANTIZED)}")
    group.add_argument("--int8", action="store_true", help="weights and activations in 8 bits")
    group.add_argument(
        "--data", metavar="SOURCE", help="whose images to calibrate with (default: the run's)"
    )
    group.add_argument(
        "--calibration-images",
        type=_count,
        default=200,
        metavar="N",
        help="training images to calibrate with (default: %(default)s)",
    )


def _add_info(subparsers):
    parser = _add_command(
        subparsers, "info", commands.info, "Print versions, devices, and the facts of a model."
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a .keras file or a run folder")


def _add_data(subparsers):
    text = "Look at data, check them, or write them in a fast form."
    parser = subparsers.add_parser("data", help=text, description=text)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    inspect = _add_data_command(
        subparsers,
        "inspect",
        data_commands.inspect,
        "Print sizes, ranges, classes and what is missing; write a picture of some samples.",
    )
    inspect.add_argument(
        "--num-samples",
        type=_count,
        default=200,
        metavar="N",
        help="samples of each split to look at, evenly spaced (default: %(default)s)",
    )
    inspect.add_argument(
        "--out", metavar="FILE", help="picture to write (default: SOURCE-samples.png)"
    )
    verify = _add_data_command(
        subparsers,
        "verify",
        data_commands.verify,
        "Read every sample and list each fault; the exit status is 1 if there is one.",
    )
    prepare = _add_data_command(
        subparsers,
        "prepare",
        data_commands.prepare,
        "Write data as arrays, to be read many times faster; can be stopped and continued.",
    )
    prepare.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    prepare.add_argument(
        "--image-size", nargs=2, type=_count, metavar=("H", "W"), help="(default: the source's)"
    )
    for parser in (verify, prepare):
        parser.add_argument("--workers", type=_count, default=2, help="threads (default: 2)")
        _add_verbose(parser, "or progress bars (default: 1 in a terminal)", (0, 1))


def _add_reproduce(subparsers):
    parser = _add_command(
        subparsers,
        "reproduce",
        study_commands.reproduce,
        "Train the networks of the paper the paper's way and tabulate their scores. The same "
        "command goes on where it was stopped, or adds networks, balancers and seeds.",
    )
    parser.add_argument("table", choices=("table1",), help="Table I: networks and their scores")
    add = parser.add_argument
    add("--data", required=True, metavar="SOURCE", help="'rooms', or a " + _SOURCES)
    add("--out", required=True, metavar="DIR", help="folder of the study")
    add(
        "--scale",
        choices=list(study.SCALES),
        default="small",
        help="sizes: paper (288 x 384, 200 epochs), small (64 x 96, a quarter of the filters, 30 "
        "epochs), tiny (to see that it runs) (default: %(default)s)",
    )
    add(
        "--protocol",
        choices=list(study.PROTOCOLS),
        default="both",
        help="paper: train on all, score the last epochs; clean: hold out a tenth to choose a "
        "checkpoint; both scores of networks trained on nine tenths (default: %(default)s)",
    )
    add(
        "--models",
        nargs="+",
        choices=list(study.NETWORKS),
        default=list(study.NETWORKS),
        help="networks; single stands for one for each task (default: all)",
    )
    names = list(BALANCERS)
    add("--balancers", nargs="+", choices=names, default=["dwa"], help="(default: dwa)")
    add("--seeds", type=_count, default=3, metavar="N", help="from 0 (default: %(default)s)")
    add("--splits", nargs=2, metavar=("TRAIN", "TEST"), help="(default: the first two)")
    group = parser.add_argument_group("instead of what the scale says")

    def instead(option, **kwargs):
        group.add_argument(option, default=argparse.SUPPRESS, **kwargs)

    instead("--image-size", nargs=2, type=_count, metavar=("H", "W"))
    instead("--filters", nargs=5, type=_count, metavar="N")
    for option in ("--epochs", "--batch-size", "--num-samples"):
        instead(option, type=_count, metavar="N")
    instead("--learning-rate", type=float, metavar="X")
    instead("--dtype", choices=("float32", "mixed_bfloat16", "mixed_float16"))
    _add_verbose(parser, "progress bars, or a line per epoch (default: 0)")


def _add_report(subparsers):
    parser = _add_command(
        subparsers,
        "report",
        study_commands.make_report,
        "Write one HTML file about runs: curves, scores, pictures, masks, and how they came about.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder")
    parser.add_argument("--out", metavar="FILE", help="(default: report.html in the first run)")
    parser.add_argument(
        "--pictures", type=_count, default=6, metavar="N", help="samples shown (default: 6)"
    )
    parser.add_argument(
        "--num-samples", type=_count, metavar="N", help="samples to predict (default: all)"
    )


def _add_data_command(subparsers, name, function, text):
    parser = _add_command(subparsers, name, function, text)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help=f"'rooms', made up on the fly; or a {_SOURCES}",
    )
    parser.add_argument("--splits", nargs="+", metavar="SPLIT", help="(default: all)")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="(default: the source's)")
    add_nyu = parser.add_argument_group("for nyu_depth_v2_labeled.mat").add_argument
    add_nyu("--num-classes", type=int, choices=(13, 40), help="(default: 13)")
    add_nyu("--depth", choices=("raw", "filled"), help="with holes or without (default: raw)")
    return parser


def _add_command(subparsers, name, function, text):
    parser = subparsers.add_parser(name, help=text, description=text)
    parser.set_defaults(command=function)
    parser.add_argument(
        "--backend",
        choices=("tensorflow", "jax", "torch"),
        help="(default: that of the resumed run, or Keras's own: KERAS_BACKEND or keras.json)",
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of errors; or KERAS_ATINET_DEBUG=1"
    )
    return parser


def _add_model(parser):
    parser.add_argument(
        "--model",
        required=True,
        metavar="FILE",
        help="a .keras file, or a run folder for its best model",
    )


def _add_verbose(parser, text, choices=(0, 1, 2)):
    parser.add_argument("--verbose", type=int, choices=choices, help=f"nothing, {text}")


def _shown(value):
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _count(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {text}")
    return value
