"""Options that several commands share."""

import argparse
import math
import sys

from keras_atinet.settings import BACKENDS

SOURCES = (
    "folder of images and targets, of MTAN arrays, of parquet files, or one that `data prepare` "
    "wrote; nyu_depth_v2_labeled.mat; huggingface:NAME; tfds:NAME"
)


def add_common(parser):
    """Adds the options that every command has."""
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        help="what Keras computes with (default: that of the resumed run, or else of KERAS_BACKEND "
        "or keras.json)",
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of errors; or KERAS_ATINET_DEBUG=1"
    )


def add_model(parser, default=None):
    text = "a .keras file, a run folder for its best model, or a preset"
    parser.add_argument(
        "--model",
        required=default is None,
        default=default,
        metavar="FILE",
        help=f"{text} (default: %(default)s)" if default else text,
    )


def add_verbose(parser, text, choices=(0, 1, 2)):
    """Adds `--verbose`; alone it is 1 in a terminal, else 2."""
    alone = 2 if 2 in choices and not sys.stdout.isatty() else 1
    parser.add_argument(
        "--verbose", type=int, nargs="?", choices=choices, const=alone, help=f"nothing, {text}"
    )


def add_verbose_epochs(parser, row="epoch"):
    """Adds `--verbose` to a command that trains."""
    text = f"Keras's bars, or its lines; alone the one that fits (default: a row for each {row})"
    add_verbose(parser, text)


def _number(kind, least, rule, below=math.inf):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value < below:
            raise argparse.ArgumentTypeError(f"must be {rule}. Received: {text}")
        return value

    return parse


_COUNT = _number(int, 1, "a whole number from 1 on")
# Keywords of `add_argument`.
COUNT = {"type": _COUNT, "metavar": "N"}
IMAGE_SIZE = {"type": _COUNT, "metavar": ("H", "W"), "nargs": 2}
FILTERS = {"type": _COUNT, "metavar": "N", "nargs": 5}
SHARE = {"type": _number(float, 0, "a share from 0 on, below 1", below=1), "metavar": "SHARE"}
UP_TO_ONE = {
    "type": _number(float, 0, "a share from 0 to 1", below=math.nextafter(1, 2)),
    "metavar": "X",
}
SEED = {
    "type": _number(int, 0, "a whole number from 0 on, below 2 ** 32", below=2**32),
    "metavar": "N",
}
PORT = {"type": _number(int, 1, "a whole number from 1 to 65535", below=65536), "metavar": "N"}
EPOCHS = {"type": _number(int, 0, "a whole number from 0 on"), "metavar": "N"}
NOT_NEGATIVE = {"type": _number(float, 0, "a number from 0 on"), "metavar": "X"}
POSITIVE = {"type": _number(float, math.ulp(0), "a number above 0"), "metavar": "X"}
FIELD_OF_VIEW = {
    "type": _number(float, math.ulp(0), "degrees above 0, below 180", below=180),
    "metavar": "DEGREES",
}
# Nobody means less than a thousandth: that is a rate.
FACTOR = {"type": _number(float, 1e-3, "a factor, 0.001 or more"), "metavar": "X"}
