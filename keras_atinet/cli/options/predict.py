"""Options of `keras-atinet predict`."""

from keras_atinet.cli.options.shared import FIELD_OF_VIEW, add_model, add_verbose
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
    "keras-atinet predict room.jpg --point-cloud",
    "keras-atinet predict --video tour.mp4",
)
PATHS = ("model", "images", "video")


def add_options(parser):
    text = "picture of any size and kind, folder of pictures, or pattern such as 'photos/*.jpg'"
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=text)
    add_model(parser, DEFAULT_PRESET)
    text = "folder to write to (default: %(default)s)"
    parser.add_argument("--out", default="predictions", metavar="DIR", help=text)
    text = "a video to predict; writes NAME_all.mp4, each frame beside what is predicted for it"
    parser.add_argument("--video", metavar="FILE", help=text)
    text = "write NAME.ply too, the points in metres, for MeshLab, Blender and others"
    parser.add_argument("--point-cloud", action="store_true", help=text)
    parser.add_argument(
        "--fov",
        **FIELD_OF_VIEW,
        help="horizontal field of view of the camera, for --point-cloud (default: that of the "
        "focal length in the photograph's EXIF data, or 60)",
    )
    add_verbose(parser, "or a progress bar (default: 1 in a terminal)", (0, 1))


def check(arguments):
    """Refuses what would predict nothing."""
    if not arguments.images and not arguments.video:
        raise ValueError(
            "Nothing to predict. Name pictures, a folder, a pattern, or a video by `--video FILE`."
        )
    if arguments.point_cloud and not arguments.images:
        raise ValueError("`--point-cloud` is for pictures. Received: none. Name some.")
    if arguments.fov is not None and not arguments.point_cloud:
        raise ValueError(
            f"`--fov` is for a point cloud. Received: --fov {arguments.fov:g} alone. "
            "Add `--point-cloud`."
        )
