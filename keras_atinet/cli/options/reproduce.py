"""Options of `keras-atinet reproduce`."""

import argparse

from keras_atinet.cli.options.shared import COUNT, FILTERS, IMAGE_SIZE, SOURCES, add_verbose_epochs
from keras_atinet.settings import (
    AUGMENTATIONS,
    BALANCERS,
    DECODERS,
    NETWORKS,
    PAPER_NETWORKS,
    PRECISIONS,
    PROTOCOLS,
    SCALES,
    SCHEDULES,
)

SUMMARY = "Train the paper's networks, and others; tabulate their scores."
DETAILS = (
    "They are trained the paper's way. The same command resumes where it was stopped, or adds "
    "networks, balancers and seeds."
)
EXAMPLES = ("keras-atinet reproduce table1 --data nyuv2 --out table1",)
OVERRIDES = {
    "image_size": IMAGE_SIZE,
    "filters": FILTERS,
    "epochs": COUNT,
    "batch_size": COUNT,
    "num_samples": COUNT,
    "learning_rate": {"type": float, "metavar": "X"},
    "schedule": {"choices": SCHEDULES},
    "augment": {"choices": AUGMENTATIONS},
    "encoder": {"metavar": "NAME", "help": "what all networks are built on, see `train --help`"},
    "encoder_weights": {"metavar": "NAME"},
    "decoder": {"choices": DECODERS},
    "dtype": {"choices": PRECISIONS},
}
PATHS = ("data",)


def add_options(parser):
    add = parser.add_argument
    add("table", choices=("table1",), help="Table I: networks and their scores")
    add("--data", required=True, metavar="SOURCE", help="'rooms', or a " + SOURCES)
    add("--out", required=True, metavar="DIR", help="folder of the study")
    add(
        "--scale",
        choices=SCALES,
        default="small",
        help="sizes: paper (288 x 384, 200 epochs), small (64 x 96, a quarter of the filters, 30 "
        "epochs), tiny (to see that it runs) (default: %(default)s)",
    )
    add(
        "--protocol",
        choices=PROTOCOLS,
        default="both",
        help="paper: train on all, score the last epochs; clean: hold out a tenth to choose a "
        "checkpoint; both scores of networks trained on nine tenths (default: %(default)s)",
    )
    add(
        "--models",
        nargs="+",
        choices=NETWORKS,
        default=list(PAPER_NETWORKS),
        metavar="NAME",
        help=f"{', '.join(NETWORKS)}; single stands for one for each task (default: the five of "
        "the paper's table)",
    )
    text = f"how the tasks are weighted: {', '.join(BALANCERS)} (default: dwa)"
    add("--balancers", nargs="+", choices=BALANCERS, default=["dwa"], metavar="NAME", help=text)
    add("--seeds", default=3, help="from 0 (default: %(default)s)", **COUNT)
    add("--splits", nargs=2, metavar=("TRAIN", "TEST"), help="(default: train and test)")
    group = parser.add_argument_group("instead of what the scale says")
    for name, keywords in OVERRIDES.items():
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, default=argparse.SUPPRESS, **keywords)
    add_verbose_epochs(parser)
