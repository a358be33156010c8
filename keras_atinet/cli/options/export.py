"""Options of `keras-atinet export`."""

from keras_atinet.cli.options.shared import COUNT, IMAGE_SIZE
from keras_atinet.settings import FORMATS, QUANTIZED

SUMMARY = "Write a trained model for another runtime."
DETAILS = (
    "The model is folded for inference, see docs/export.md. Each format is written on one "
    "backend, whichever the model was trained on."
)
EXAMPLES = (
    "keras-atinet export runs/first --format onnx",
    "keras-atinet export runs/first --format openvino --int8",
)
PATHS = ("model", "data")


def add_options(parser):
    add = parser.add_argument
    add(
        "model", metavar="MODEL", help="a .keras file, a run folder for its best model, or a preset"
    )
    text = f"what to write: {', '.join(FORMATS)}"
    add("--format", required=True, choices=FORMATS, metavar="FORMAT", help=text)
    add("--out", metavar="FILE", help="file or folder to write (default: beside the .keras file)")
    sizes = parser.add_mutually_exclusive_group()
    text = "pixels, for a SegNet divisible by 32 (default: the model's)"
    sizes.add_argument("--image-size", help=text, **IMAGE_SIZE)
    sizes.add_argument("--any-size", action="store_true", help="take images of any such size")
    add("--batch-size", help="the only one to take (default: any)", **COUNT)
    group = parser.add_argument_group(f"int8, of {' and '.join(QUANTIZED)}")
    group.add_argument("--int8", action="store_true", help="weights and activations in 8 bits")
    text = "whose images to calibrate with (default: the run's)"
    group.add_argument("--data", metavar="SOURCE", help=text)
    text = "training images to calibrate with (default: %(default)s)"
    group.add_argument("--calibration-images", default=200, help=text, **COUNT)


def required_backend(arguments):
    """The backend that writes the format."""
    return FORMATS[arguments.format].backend
