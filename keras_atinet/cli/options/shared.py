"""Options that several commands share."""

import argparse
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
        help="(default: that of the resumed run, or Keras's own: KERAS_BACKEND or keras.json)",
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of errors; or KERAS_ATINET_DEBUG=1"
    )


def add_model(parser):
    parser.add_argument(
        "--model",
        required=True,
        metavar="FILE",
        help="a .keras file, or a run folder for its best model",
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


def _count(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {text}")
    return value


# Keywords of `add_argument`.
COUNT = {"type": _count, "metavar": "N"}
IMAGE_SIZE = {"type": _count, "metavar": ("H", "W"), "nargs": 2}
FILTERS = {"type": _count, "metavar": "N", "nargs": 5}
