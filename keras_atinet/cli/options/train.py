"""Options of `keras-atinet train`."""

import argparse
import pathlib

from keras_atinet.cli.options.shared import COUNT, FILTERS, IMAGE_SIZE, SOURCES, add_verbose
from keras_atinet.files import read_json
from keras_atinet.settings import (
    BALANCERS,
    DEFAULT,
    NETWORKS,
    ON_NONFINITE,
    PAPER,
    PRECISIONS,
    RECIPES,
)

SUMMARY = "Train a network; write a run folder."
DETAILS = "Without options it is a small ATI-Net on synthetic rooms, a first try of some minutes."
EXAMPLES = (
    "keras-atinet train --data nyuv2 --out runs/first",
    "keras-atinet train --data nyuv2 --recipe paper --batch-size 8",
    "keras-atinet train --resume runs/first",
)


def add_options(parser):
    default, paper = DEFAULT, PAPER

    def add(option, text, **kwargs):
        key = option.lstrip("-").replace("-", "_")
        values = _shown(default[key])
        if paper[key] != default[key]:
            values += f"; recipe paper: {_shown(paper[key])}"
        # An option that is not given leaves its key to the recipe.
        parser.add_argument(
            option, help=f"{text} (default: {values})", default=argparse.SUPPRESS, **kwargs
        )

    add("--data", f"'rooms', made up on the fly; or a {SOURCES}", metavar="SOURCE")
    text = "parts to learn from and to hold out; else the first two, as train and val"
    add("--splits", text, nargs=2, metavar=("TRAIN", "TEST"))
    add("--model", "the network", choices=NETWORKS)
    text = "what to predict, e.g. depth normal; none named: all, or the first for single"
    add("--tasks", text, nargs="+", metavar="TASK")
    add("--image-size", "pixels, divisible by 32", **IMAGE_SIZE)
    add("--filters", "width of each of the five levels", **FILTERS)
    add("--epochs", "passes over the training images", **COUNT)
    add("--batch-size", "images in a batch", **COUNT)
    add("--learning-rate", "Adam's; halved halfway", type=float, metavar="X")
    add("--balancer", "how the tasks are weighed", choices=BALANCERS)
    text = "balanced: in the loss, rare classes weigh more, by median frequency"
    add("--class-weights", text, choices=["balanced"])
    add("--temperature", "of the balancer dwa", type=float, metavar="X")
    add("--switch-at", "ATI-Net: share of the epochs in phase 1", type=float, metavar="X")
    text = "a step whose loss or gradient is no finite number: stop, or leave it out and count it"
    add("--on-nonfinite", text, choices=ON_NONFINITE)
    add("--augment", "mirror training images by chance", action=argparse.BooleanOptionalAction)
    add("--dtype", "precision", choices=PRECISIONS)
    add("--remat", "atinet and mtan: what to compute twice, for less memory", choices=["attention"])
    add("--seed", "of the weights and of the order of the images", type=int, metavar="N")
    add("--num-samples", "rooms to learn from, plus a quarter held out", **COUNT)
    parser.add_argument(
        "--recipe",
        choices=RECIPES,
        help="where the defaults come from; paper also makes Split deep (default: default)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="run folder, new or empty (default: runs/MODEL-DATA-NUMBER)",
    )
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with an interrupted run; of its settings, --on-nonfinite may change",
    )
    add_verbose(parser, "progress bars, or a line per epoch (default: 1 in a terminal, else 2)")


def required_backend(arguments):
    """The backend of the run to resume."""
    if not arguments.resume:
        return None
    try:
        return read_json(pathlib.Path(arguments.resume, "config.json"))["versions"]["backend"]
    except (OSError, ValueError, LookupError, TypeError):
        # `run` says what is wrong with the folder.
        return None


def _shown(value):
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
