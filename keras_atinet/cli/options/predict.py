"""Options of `keras-atinet predict`."""

from keras_atinet.cli.options.shared import add_model, add_verbose
from keras_atinet.settings import DEFAULT_PRESET

SUMMARY = "Predict pictures: classes, depth, normals."
DETAILS = (
    "Writes, at the size of each picture: NAME.npz with the arrays (numbers of classes, metres, "
    "unit vectors), NAME_TASK.png in colours, the classes as numbers and on top of the picture, "
    "depth in millimetres, and NAME_all.png, all side by side. Files that cannot be read are named "
    "at the end, and the exit status is 1."
)
EXAMPLES = (
    "keras-atinet predict room.jpg",
    "keras-atinet predict photos 'more/*.png' --model runs/first --out found",
)
PATHS = ("model", "images")


def add_options(parser):
    text = "picture of any size and kind, folder of pictures, or pattern such as 'photos/*.jpg'"
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=text)
    add_model(parser, DEFAULT_PRESET)
    text = "folder to write to (default: %(default)s)"
    parser.add_argument("--out", default="predictions", metavar="DIR", help=text)
    add_verbose(parser, "or a progress bar (default: 1 in a terminal)", (0, 1))
