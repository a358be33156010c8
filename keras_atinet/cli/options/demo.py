"""Options of `keras-atinet demo`."""

from keras_atinet.cli.options.shared import add_model
from keras_atinet.settings import DEFAULT_PRESET

SUMMARY = "Predict a synthetic room, to see what comes out."
DETAILS = "Writes the room and the files that `predict` writes of a picture."
EXAMPLES = ("keras-atinet demo",)
PATHS = ("model",)


def add_options(parser):
    add_model(parser, DEFAULT_PRESET)
    text = "folder to write to (default: %(default)s)"
    parser.add_argument("--out", default="predictions", metavar="DIR", help=text)
