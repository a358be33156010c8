"""What the commands for data do with their options."""

import inspect
import sys

from keras_atinet.data.opening import recognize


def is_verbose(arguments):
    return sys.stdout.isatty() if arguments.verbose is None else arguments.verbose


def source_options(arguments, image_size=None):
    """Arguments of a source beside its split and tasks.

    Raises:
        ValueError: if an option means nothing for the source.
    """
    accepted = inspect.signature(recognize(arguments.source).source).parameters
    options = {"num_classes": arguments.num_classes, "depth": arguments.depth}
    options = {name: value for name, value in options.items() if value is not None}
    for name in options:
        if name not in accepted:
            raise ValueError(
                f"`--{name.replace('_', '-')}` is for nyu_depth_v2_labeled.mat. "
                f"Received: '{arguments.source}', for which it means nothing. Leave it out."
            )
    # Sources that do not accept a size are resized.
    if image_size and "image_size" in accepted:
        options["image_size"] = tuple(image_size)
    return options


def split_name(split):
    """How a split is called in print; data that is not split has the one split None."""
    return "all" if split is None else split


def print_notes(sources):
    """Prints what the sources have to tell the user, each thing once."""
    for note in dict.fromkeys(note for source in sources for note in source.notes):
        print(f"Note: {note}")
