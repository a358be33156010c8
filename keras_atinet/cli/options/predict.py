"""Options of `keras-atinet predict`."""

from keras_atinet.cli.options.shared import add_model

SUMMARY = "Predict image files."
DETAILS = (
    "Writes a picture for each task, and NAME.npz with the arrays at the network's size (class "
    "numbers, metres, unit vectors)."
)
EXAMPLES = ("keras-atinet predict street.jpg --model runs/first --out predictions",)


def add_options(parser):
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="picture of any size and format")
    add_model(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
