"""Options of `keras-atinet data inspect`."""

from keras_atinet.cli.options.data.shared import add_source
from keras_atinet.cli.options.shared import COUNT

SUMMARY = "Print what data hold; draw some samples."
DETAILS = "Prints sizes, ranges, classes and what is missing."
EXAMPLES = ("keras-atinet data inspect nyuv2",)
PATHS = ("source",)


def add_options(parser):
    add_source(parser)
    text = "samples of each split to look at, evenly spaced (default: %(default)s)"
    parser.add_argument("--num-samples", default=200, help=text, **COUNT)
    text = "picture to write (default: SOURCE-samples.png)"
    parser.add_argument("--out", metavar="FILE", help=text)
