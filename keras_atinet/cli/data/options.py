"""What the commands for data share."""

import inspect
import sys

from keras_atinet.cli.options import COUNT, SOURCES, add_verbose
from keras_atinet.data.opening import recognize


def add_source(parser):
    add = parser.add_argument
    add("source", metavar="SOURCE", help=f"'rooms', made up on the fly; or a {SOURCES}")
    add("--splits", nargs="+", metavar="SPLIT", help="(default: all)")
    add("--tasks", nargs="+", metavar="TASK", help="(default: the source's)")
    add_nyu = parser.add_argument_group("for nyu_depth_v2_labeled.mat").add_argument
    add_nyu("--num-classes", type=int, choices=(13, 40), help="(default: 13)")
    add_nyu("--depth", choices=("raw", "filled"), help="with holes or without (default: raw)")


def add_workers(parser):
    parser.add_argument("--workers", type=COUNT["type"], default=2, help="threads (default: 2)")
    add_verbose(parser, "or progress bars (default: 1 in a terminal)", (0, 1))


def is_verbose(arguments):
    return sys.stdout.isatty() if arguments.verbose is None else arguments.verbose


def source_options(arguments, image_size=None):
    """Arguments of a source beside its split and tasks.

    Raises:
        ValueError: if an option means nothing for the source.
    """
    accepted = inspect.signature(recognize(arguments.source).source).parameters
    options = {"num_classes": arguments.num_classes, "depth": arguments.depth}
    options = {name: value for name, value in options.items() if value is not None}
    for name in options:
        if name not in accepted:
            raise ValueError(
                f"`--{name.replace('_', '-')}` is for nyu_depth_v2_labeled.mat. "
                f"Received: '{arguments.source}', for which it means nothing. Leave it out."
            )
    # Sources that do not accept a size are resized.
    if image_size and "image_size" in accepted:
        options["image_size"] = tuple(image_size)
    return options


def split_name(split):
    """How a split is called in print; data that is not split has the one split None."""
    return "all" if split is None else split
