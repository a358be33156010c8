"""Options of `keras-atinet data prepare`."""

from keras_atinet.cli.options.data.shared import add_source, add_workers
from keras_atinet.cli.options.shared import IMAGE_SIZE

SUMMARY = "Write data as arrays, which are read much faster."
DETAILS = "It can be stopped: the same command resumes."
EXAMPLES = ("keras-atinet data prepare nyuv2 --out nyuv2-fast --image-size 288 384",)
PATHS = ("source",)


def add_options(parser):
    add_source(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--image-size", help="(default: the source's)", **IMAGE_SIZE)
    add_workers(parser)
