"""Options that the commands for data share."""

from keras_atinet.cli.options.shared import COUNT, SOURCES, add_verbose


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
