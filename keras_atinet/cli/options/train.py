"""Options of `keras-atinet train`."""

import argparse
import pathlib

from keras_atinet.cli.options.shared import (
    COUNT,
    EPOCHS,
    FILTERS,
    IMAGE_SIZE,
    NOT_NEGATIVE,
    SHARE,
    SOURCES,
    add_verbose_epochs,
)
from keras_atinet.files import read_json
from keras_atinet.settings import (
    AUGMENTATIONS,
    BALANCERS,
    DEFAULT,
    NETWORKS,
    ON_NONFINITE,
    PAPER,
    PRECISIONS,
    RECIPES,
    SCHEDULES,
)

SUMMARY = "Train a network into a run folder; without options a small ATI-Net on made-up rooms."


def add_options(parser):
    default, paper = DEFAULT, PAPER

    def add(option, text, values=None, **kwargs):
        key = option.lstrip("-").replace("-", "_")
        values = values or _shown(default[key])
        if paper[key] != default[key]:
            values += f"; recipe paper: {_shown(paper[key])}"
        # An option that is not given leaves its key to the recipe.
        parser.add_argument(
            option, help=f"{text} (default: {values})", default=argparse.SUPPRESS, **kwargs
        )

    add("--data", f"'rooms', made up on the fly; or a {SOURCES}", metavar="SOURCE")
    text = (
        "parts of the data: to learn from, to choose the best epoch on, to test on; or without the "
        "second, for which images of the first are held out"
    )
    values = "train, and val and test where the data have them"
    add("--splits", text, values, nargs="+", metavar="SPLIT")
    text = "share of the training images to hold out, to choose the best epoch on them"
    values = f"{default['hold_out']:g} where no split is there for that, else 0"
    add("--hold-out", text, values, **SHARE)
    add("--model", "the network", choices=NETWORKS)
    text = "what to predict, e.g. depth normal; none named: all, or the first for single"
    add("--tasks", text, nargs="+", metavar="TASK")
    add("--image-size", "pixels, divisible by 32", **IMAGE_SIZE)
    add("--filters", "width of each of the five levels", **FILTERS)
    add("--epochs", "passes over the training images", **COUNT)
    add("--batch-size", "images in a batch", **COUNT)
    add("--accumulate", "batches whose gradients make one step, as one large batch would", **COUNT)
    add("--learning-rate", "Adam's", type=float, metavar="X")
    text = "of the learning rate: constant, halved halfway, or by a cosine to 0"
    add("--schedule", text, choices=SCHEDULES)
    add("--warmup", "epochs in which the learning rate rises to its full value", **EPOCHS)
    text = "AdamW's: what it takes off the kernels of convolutions, times the learning rate"
    add("--weight-decay", text, **NOT_NEGATIVE)
    text = "stop after N epochs without a lower val_loss; ATI-Net's second phase alone counts"
    add("--patience", text, **COUNT)
    add("--balancer", "how the tasks are weighed", choices=BALANCERS)
    text = "balanced: in the loss, rare classes weigh more, by median frequency"
    add("--class-weights", text, choices=["balanced"])
    add("--temperature", "of the balancer dwa", type=float, metavar="X")
    add("--switch-at", "ATI-Net: share of the epochs in phase 1", type=float, metavar="X")
    text = "a step whose loss or gradient is no finite number: stop, or leave it out and count it"
    add("--on-nonfinite", text, choices=ON_NONFINITE)
    text = "training images changed by chance: mirrored; full also zooms and changes colours"
    add("--augment", text, choices=AUGMENTATIONS)
    parser.add_argument(
        "--no-augment",
        dest="augment",
        action="store_const",
        const="none",
        default=argparse.SUPPRESS,
        help="the same as --augment none",
    )
    text = "a run folder (its best model) or a .keras file to begin with: takes what fits"
    add("--weights", text, metavar="RUN")
    add("--dtype", "precision", choices=PRECISIONS)
    add("--remat", "atinet and mtan: what to compute twice, for less memory", choices=["attention"])
    add("--seed", "of the weights and of the order of the images", type=int, metavar="N")
    add("--deterministic", "the same numbers each time on a GPU too, slower", action="store_true")
    add("--tensorboard", "write RUN/tensorboard as well", action="store_true")
    add("--num-samples", "rooms of the split train; the split test has a quarter of that", **COUNT)
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
    add_verbose_epochs(parser)


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
