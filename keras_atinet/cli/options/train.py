"""Options of `keras-atinet train`."""

import argparse
import pathlib

from keras_atinet.cli.options.shared import (
    COUNT,
    EPOCHS,
    FACTOR,
    FILTERS,
    IMAGE_SIZE,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    SHARE,
    SOURCES,
    UP_TO_ONE,
    add_verbose_epochs,
)
from keras_atinet.files import read_json
from keras_atinet.settings import (
    AUGMENTATIONS,
    BALANCERS,
    BEST_BY,
    DECODERS,
    DEFAULT,
    NETWORKS,
    ON_NONFINITE,
    PRECISIONS,
    RECIPES,
    SCHEDULES,
)

SUMMARY = "Train a network; write a run folder."
DETAILS = "Without options it is a small ATI-Net on synthetic rooms, a first try of some minutes."
EXAMPLES = (
    "keras-atinet train --data nyuv2 --out runs/first",
    "keras-atinet train --data nyuv2 --recipe paper --batch-size 8",
    "keras-atinet train --data nyuv2 --recipe pretrained",
    "keras-atinet train --data my-data --recipe finetune",
    "keras-atinet train --resume runs/first",
)
PATHS = ("data", "weights", "resume")
ALL_EPOCHS = 0


def add_options(parser):
    _add_data(parser.add_argument_group("data"))
    _add_network(parser.add_argument_group("network"))
    _add_training(parser.add_argument_group("training"))
    _add_balancing(parser.add_argument_group("tasks and their balance"))
    _add_files(parser.add_argument_group("files"))


def _add_data(group):
    _add(group, "--data", f"'rooms', synthetic; or a {SOURCES}", metavar="SOURCE")
    text = "parts of the data to learn from, [to choose the best epoch on,] and to test on"
    default = "train, and val and test where they are there"
    _add(group, "--splits", text, default, nargs="+", metavar="SPLIT")
    text = "share of the training images to hold out and to choose the best epoch on"
    default = f"{DEFAULT['hold_out']:g} without a split for that, or else 0; recipe paper: 0"
    _add(group, "--hold-out", text, default, **SHARE)
    text = "pixels; divisible by 32 without an --encoder"
    _add(group, "--image-size", text, **IMAGE_SIZE)
    text = (
        "training images changed by chance: mirrored; color also changes colours; full also zooms"
    )
    _add(group, "--augment", text, choices=AUGMENTATIONS)
    group.add_argument(
        "--no-augment",
        dest="augment",
        action="store_const",
        const="none",
        default=argparse.SUPPRESS,
        help="the same as --augment none",
    )
    _add(group, "--num-samples", "rooms to train on; a quarter as many to test on", **COUNT)


def _add_network(group):
    text = f"the network: {', '.join(NETWORKS)}"
    _add(group, "--model", text, choices=NETWORKS, metavar="NAME")
    _add(group, "--filters", "width of each of the five levels", **FILTERS)
    text = (
        "what the network is built on: e.g. efficientnet_lite2, resnet50, convnext_tiny, another "
        "name of keras.applications, or a .keras file; none is the paper's SegNet"
    )
    _add(group, "--encoder", text, type=_or_none, metavar="NAME")
    text = "the encoder's weights to begin with: imagenet, a file, or none"
    _add(group, "--encoder-weights", text, type=_or_none, metavar="NAME")
    text = "single, split, cross_stitch, nddrcnn, with an --encoder: from its levels to features"
    _add(group, "--decoder", text, "unet", choices=DECODERS)
    text = "width of each stage of the decoder, finest first"
    _add(group, "--decoder-filters", text, "as --filters says", **{**FILTERS, "nargs": "+"})
    text = "a run folder (its best model), .keras file or preset to begin with: takes what fits"
    _add(group, "--weights", text, metavar="RUN")
    _add(group, "--dtype", "precision", choices=PRECISIONS)
    text = "atinet and mtan: what to compute twice, for less memory"
    _add(group, "--remat", text, choices=["attention"])


def _add_training(group):
    text = (
        "where the defaults come from: paper, whose Split is deep; pretrained, an encoder from "
        "ImageNet; finetune, the preset that comes with the package (default: default)"
    )
    group.add_argument("--recipe", choices=RECIPES, help=text)
    _add(group, "--epochs", "passes over the training images", **COUNT)
    _add(group, "--batch-size", "images in a batch", **COUNT)
    text = "batches whose gradients make one step, as one large batch would"
    _add(group, "--accumulate", text, **COUNT)
    _add(group, "--learning-rate", "Adam's", **POSITIVE)
    text = "the encoder's learning rate over that of the rest, e.g. 0.1"
    _add(group, "--encoder-lr", text, "1", **FACTOR)
    text = "epochs in which the encoder stays as it is; alone: all"
    _add(group, "--freeze-encoder", text, nargs="?", const=ALL_EPOCHS, **COUNT)
    text = "of the learning rate: constant, halved halfway, or by a cosine to 0"
    _add(group, "--schedule", text, choices=SCHEDULES)
    text = "epochs in which the learning rate rises to its full value"
    _add(group, "--warmup", text, **EPOCHS)
    text = "AdamW's: what it takes off the kernels of convolutions, times the learning rate"
    _add(group, "--weight-decay", text, **NOT_NEGATIVE)
    text = (
        "what makes an epoch the best on the held-out images: the sum of the losses, or the mean "
        "error of the tasks (1 - mean IoU, metres, degrees; geometric)"
    )
    _add(group, "--best-by", text, choices=BEST_BY)
    text = "stop after N epochs none of which is the best; ATI-Net's second phase alone counts"
    _add(group, "--patience", text, **COUNT)
    _add(group, "--switch-at", "ATI-Net: share of the epochs in phase 1", **UP_TO_ONE)
    text = "a step whose loss or gradient is no finite number: stop, or leave it out and count it"
    _add(group, "--on-nonfinite", text, choices=ON_NONFINITE)
    _add(group, "--seed", "of the weights and of the order of the images", **SEED)
    text = "the same numbers each time on a GPU too, slower"
    _add(group, "--deterministic", text, action="store_true")


def _add_balancing(group):
    text = "what to predict, e.g. depth normal"
    _add(group, "--tasks", text, "all; the first for single", nargs="+", metavar="TASK")
    text = f"how the tasks are weighted: {', '.join(BALANCERS)}"
    _add(group, "--balancer", text, choices=BALANCERS, metavar="NAME")
    _add(group, "--temperature", "of the balancer dwa", **POSITIVE)
    text = "balanced: in the loss, rare classes weigh more, by median frequency"
    _add(group, "--class-weights", text, choices=["balanced"])


def _add_files(group):
    text = "run folder, new or empty (default: runs/MODEL-DATA-NUMBER)"
    group.add_argument("--out", metavar="DIR", help=text)
    text = "resume an interrupted run; of its settings, --on-nonfinite may change"
    group.add_argument("--resume", metavar="RUN", help=text)
    _add(group, "--tensorboard", "write RUN/tensorboard as well", action="store_true")
    add_verbose_epochs(group)


def _add(group, option, text, default=None, **kwargs):
    # The option of a setting. One that is not given leaves the setting to the recipe.
    key = option.lstrip("-").replace("-", "_")
    if default is None:
        default = _shown(DEFAULT[key])
        for name, recipe in RECIPES.items():
            if recipe[key] != DEFAULT[key]:
                default += f"; recipe {name}: {_shown(recipe[key])}"
    text = f"{text} (default: {default})"
    group.add_argument(option, help=text, default=argparse.SUPPRESS, **kwargs)


def _or_none(text):
    return None if text == "none" else text


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
