"""Options of `keras-atinet predict`."""

from keras_atinet.cli.options.shared import add_model, add_verbose

SUMMARY = "Predict image files, or all in a folder."
DETAILS = (
    "Writes a picture for each task, and NAME.npz with the arrays at the network's size (class "
    "numbers, metres, unit vectors). Files that cannot be read are named at the end, and the exit "
    "status is 1."
)
EXAMPLES = (
    "keras-atinet predict street.jpg --model runs/first --out predictions",
    "keras-atinet predict photos --model runs/first --out predictions",
)
PATHS = ("model", "images")


def add_options(parser):
    text = "picture of any size and format, or a folder of pictures"
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=text)
    add_model(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    add_verbose(parser, "or a progress bar (default: 1 in a terminal)", (0, 1))
