"""Checks and completes what the options say of the data."""

import pathlib

from keras_atinet import runs
from keras_atinet.data import splits


def absolute(source):
    """The absolute path of a source that is a file or a folder; other names as they are."""
    path = pathlib.Path(source)
    # Names such as "rooms" and "huggingface:..." are not paths.
    return str(path.resolve()) if path.exists() and source != runs.ROOMS else source


def absolute_file(name):
    """The absolute path of a name that ends as a file's does; other names as they are."""
    path = pathlib.Path(name)
    return str(path.resolve()) if path.suffix else name


def complete_splits(explicit, settings):
    """The splits of a run, and the share of the first that it holds out.

    Args:
        explicit: dict, the settings that the user gave.
        settings: dict, these and the defaults.

    Returns:
        dict, the settings `splits` and `hold_out`.
    """
    names = explicit.get("splits") or runs.choose_splits(splits(settings["data"]))
    share = settings["hold_out"]
    if "hold_out" not in explicit:
        share = 0.0 if runs.has_validation(names) else share
    elif share and "splits" not in explicit and len(names) > 2:
        # What is held out takes the place of the split to choose on.
        names = [names[0], names[-1]]
    return {"splits": names, "hold_out": share}


def two_splits(source):
    """The split that a study learns from and the one that it is scored on.

    Raises:
        ValueError: if the source has only one split.
    """
    names = splits(source)
    if len(names) < 2:
        raise ValueError(
            "A study needs a split to learn from and one to test on. "
            f"Received: '{source}' with {names}. Make two folders, for instance train and test."
        )
    return [names[0], runs.choose_splits(names)[-1]]


def check_num_samples(explicit, source):
    """Refuses a number of rooms for a source that has none.

    Args:
        explicit: dict, the settings that the user gave.
        source: str.

    Raises:
        ValueError: if there is a number, and the source is not the synthetic rooms.
    """
    if "num_samples" in explicit and source != runs.ROOMS:
        raise ValueError(
            "`--num-samples` is the number of rooms to make up. "
            f"Received: {explicit['num_samples']}, with --data {source}. Leave it out."
        )
