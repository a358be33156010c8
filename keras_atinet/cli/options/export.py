"""Options of `keras-atinet export`."""

from keras_atinet.cli.options.shared import COUNT, IMAGE_SIZE
from keras_atinet.settings import FORMATS, PRESET, PRESET_DTYPES, QUANTIZED

SUMMARY = "Write a trained model for another runtime, or as a preset."
DETAILS = (
    "For a runtime the model is folded for inference, see docs/export.md; each format is written "
    "on one backend, whichever the model was trained on. A preset is a folder with the network as "
    "it is, from which all commands and keras_atinet.from_preset read it, and which hubs take."
)
EXAMPLES = (
    "keras-atinet export runs/first --format onnx",
    "keras-atinet export runs/first --format openvino --int8",
    "keras-atinet export runs/first --format preset --out rooms --dtype float16",
)
PATHS = ("model", "data", "scores", "notes")
_OF_PRESETS = ("dtype", "scores", "notes")
_OF_RUNTIMES = ("image_size", "any_size", "batch_size", "int8", "data", "calibration_images")


def add_options(parser):
    add = parser.add_argument
    text = "a .keras file, a run folder for its best model, or a preset"
    add("model", metavar="MODEL", help=text)
    text = f"what to write: {', '.join(FORMATS)}, {PRESET}"
    add("--format", required=True, choices=(*FORMATS, PRESET), metavar="FORMAT", help=text)
    add("--out", metavar="FILE", help="file or folder to write (default: beside the .keras file)")
    group = parser.add_argument_group("runtimes")
    sizes = group.add_mutually_exclusive_group()
    text = "pixels, for a SegNet divisible by 32 (default: the model's)"
    sizes.add_argument("--image-size", help=text, **IMAGE_SIZE)
    sizes.add_argument("--any-size", action="store_true", help="take images of any such size")
    group.add_argument("--batch-size", help="the only one to take (default: any)", **COUNT)
    group = parser.add_argument_group(f"int8, of {' and '.join(QUANTIZED)}")
    group.add_argument("--int8", action="store_true", help="weights and activations in 8 bits")
    text = "whose images to calibrate with (default: the run's)"
    group.add_argument("--data", metavar="SOURCE", help=text)
    text = "training images to calibrate with (default: 200)"
    group.add_argument("--calibration-images", help=text, **COUNT)
    group = parser.add_argument_group(PRESET)
    text = "of the kernels; float16 takes half the space (default: float32)"
    group.add_argument("--dtype", choices=PRESET_DTYPES, help=text)
    text = "scores for the model card, from evaluate --json (default: the run's own)"
    group.add_argument("--scores", metavar="FILE", help=text)
    text = "Markdown for the model card: the data and their terms, licence, limits"
    group.add_argument("--notes", metavar="FILE", help=text)


def check(arguments):
    """Refuses options of another format."""
    is_preset = arguments.format == PRESET
    for name in _OF_RUNTIMES if is_preset else _OF_PRESETS:
        if getattr(arguments, name):
            option = "--" + name.replace("_", "-")
            raise ValueError(
                f"`{option}` is for {'runtimes' if is_preset else 'presets'}. "
                f"Received: {option} with --format {arguments.format}. Leave it out."
            )
    if arguments.int8 and arguments.format not in QUANTIZED:
        raise ValueError(
            f"`--int8` is for the formats {QUANTIZED}. Received: '{arguments.format}'."
        )


def required_backend(arguments):
    """The backend that writes the format; any writes a preset."""
    return None if arguments.format == PRESET else FORMATS[arguments.format].backend
