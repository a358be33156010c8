"""Options of `keras-atinet search`."""

import argparse

from keras_atinet.cli.options.shared import (
    COUNT,
    EPOCHS,
    FACTOR,
    POSITIVE,
    SEED,
    UP_TO_ONE,
    add_verbose_epochs,
)
from keras_atinet.settings import BALANCERS, DECODERS, DEFAULT, NETWORKS, ROOMS

SUMMARY = "Search for hyperparameters."
DETAILS = (
    "Chooses those that are best for all tasks together (delta-m). The same command resumes a "
    "search that was stopped; trials that were not finished start again."
)
EXAMPLES = ("keras-atinet search --data nyuv2 --balancers dwa famo --workers 2",)
PATHS = ("data", "baseline")


def add_options(parser):
    text = "'rooms', made up on the fly; or other data, as for train (default: rooms)"
    parser.add_argument("--data", default=ROOMS, metavar="SOURCE", help=text)
    text = (
        "parts to learn from and to judge by (default: the first one, a fifth of it held out; "
        "the test images are not touched)"
    )
    parser.add_argument("--splits", nargs="+", metavar="SPLIT", help=text)
    text = f"the network: {', '.join(NETWORKS)} (default: %(default)s)"
    keywords = {"choices": NETWORKS, "default": DEFAULT["model"], "metavar": "NAME"}
    parser.add_argument("--model", help=text, **keywords)
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="(default: the data's)")
    text = "pixels; divisible by 32 without an --encoder"
    _add(parser, "--image-size", COUNT, text, ("H", "W"), DEFAULT["image_size"])
    _add(parser, "--epochs", COUNT, "passes over the training images", "N", DEFAULT["epochs"])
    text = f"rooms to learn from (default: {DEFAULT['num_samples']})"
    parser.add_argument("--num-samples", default=argparse.SUPPRESS, help=text, **COUNT)
    _add(parser, "--seed", SEED, "of weights, order and choices", "N", DEFAULT["seed"])
    _add(parser, "--max-trials", COUNT, "settings to try", "N", 20)
    text = "how settings are chosen (default: %(default)s)"
    parser.add_argument(
        "--algorithm", choices=("bayesian", "random"), default="bayesian", help=text
    )
    text = (
        "files that `evaluate --json` wrote, of single-task networks for instance; together they "
        "need a value for each task (default: the best constant prediction)"
    )
    parser.add_argument("--baseline", nargs="+", metavar="FILE", help=text)
    text = "mean over all metrics, or over tasks of that over their metrics (default: %(default)s)"
    parser.add_argument("--average", choices=("metrics", "tasks"), default="metrics", help=text)
    _add(parser, "--workers", COUNT, "processes that train trials at the same time", "N", 1)
    text = "folder of the search, new or that of a stopped one (default: %(default)s)"
    parser.add_argument("--out", default="runs/search", metavar="DIR", help=text)
    add_verbose_epochs(parser, "trial")
    _add_space(parser.add_argument_group("the space, one value or several"))


def _add_space(group):
    _add(group, "--learning-rate", POSITIVE, "one, or from LOW to HIGH", "X", nargs="+")
    text = "names or .keras files to choose from, as for train (default: SegNet)"
    group.add_argument("--encoder", nargs="+", metavar="NAME", help=text)
    text = "imagenet or files to choose from (default: none)"
    group.add_argument("--encoder-weights", nargs="+", metavar="NAME", help=text)
    text = "of split, single, cross_stitch and nddrcnn with an --encoder, to choose from"
    group.add_argument("--decoder", nargs="+", choices=DECODERS, help=text)
    text = "epochs in which the encoder stays as it is, to choose from"
    _add(group, "--freeze-encoder", EPOCHS, text, "N", nargs="+")
    text = "the encoder's learning rate over that of the rest: one, or from LOW to HIGH"
    _add(group, "--encoder-lr", FACTOR, text, "X", nargs="+")
    _add(group, "--width", POSITIVE, "filters over the paper's, to choose from", "X", nargs="+")
    _add(group, "--batch-size", COUNT, "to choose from", "N", nargs="+")
    text = f"to choose from: {', '.join(BALANCERS)}"
    group.add_argument("--balancers", nargs="+", choices=BALANCERS, metavar="NAME", help=text)
    _add(group, "--temperature", POSITIVE, "of dwa: one, or from LOW to HIGH", "X", nargs="+")
    _add(group, "--switch-at", UP_TO_ONE, "one, or from LOW to HIGH", "X", nargs="+")


def _add(parser, option, kind, text, metavar, default=None, **kwargs):
    kwargs = {**kind, **kwargs, "metavar": metavar}
    if default is not None:
        shown = " ".join(map(str, default)) if isinstance(default, list) else default
        text, kwargs = f"{text} (default: {shown})", {**kwargs, "default": default}
    if isinstance(metavar, tuple):
        kwargs["nargs"] = len(metavar)
    parser.add_argument(option, help=text, **kwargs)
