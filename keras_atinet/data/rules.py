"""Rules for what description files state: a function for each, whose docstring is the rule."""

import math
import re

from keras_atinet.data.kinds import KINDS
from keras_atinet.tasks.names import is_one_line

# More classes than labels of 16 bits have no network.
MAX_CLASSES = 2**16
_MAX_SIDE = 2**16
_MAX_LABEL = 2**31


def check(file, stated, rules, whose=""):
    """Refuses a description that breaks a rule.

    Args:
        file: path of the description, for the error.
        stated: dict, what it states.
        rules: dict, key -> rule. A key that is not stated breaks none.
        whose: str, whose facts these are, for the error.

    Raises:
        ValueError: if a value is not as its rule says.
    """
    for name, rule in rules.items():
        if name in stated and not rule(stated[name]):
            raise wrong(file, f"`{name}`{whose}", rule.__doc__, stated[name])


def wrong(file, what, expected, received):
    """The error about a value in a description."""
    return ValueError(f"{what} must be {expected}. Received: {received!r} in '{file}'. Correct it.")


def is_whole(value):
    """a whole number"""
    return isinstance(value, int) and not isinstance(value, bool)


def is_amount(value):
    """a whole number, at least 0"""
    return is_whole(value) and value >= 0


def is_count(value):
    """a whole number from 1 to 65536"""
    return is_whole(value) and 0 < value <= MAX_CLASSES


def is_class_count(value):
    """a whole number from 2 to 65536 (a binary mask has two classes, the background 0 and the \
object 1)"""
    return is_count(value) and value > 1


def is_label(value):
    """a whole number of 32 bits"""
    return is_whole(value) and -_MAX_LABEL <= value < _MAX_LABEL


def are_values(value):
    """a dict, stored label (a str) -> class number, or null to ignore it"""
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(re.fullmatch(r"0|-?[1-9]\d{0,8}", label, re.ASCII) for label in value)
        and all(c is None or (is_amount(c) and c < MAX_CLASSES) for c in value.values())
    )


def is_number(value):
    """a finite number"""
    return (is_whole(value) and abs(value) < 1e300) or (
        isinstance(value, float) and math.isfinite(value)
    )


def is_scale(value):
    """metres, a number from 1e-9 to 1e6"""
    return is_number(value) and 1e-9 <= value <= 1e6


def is_kind(value):
    """one of `segmentation`, `depth`, `normal` and `quantity`"""
    return isinstance(value, str) and value in KINDS


def is_subfolder(value):
    """a folder within a split: names with / between them, without .., a drive or a backslash"""
    if not isinstance(value, str) or re.search(r'[\\:*?"<>|\x00-\x1f]', value):
        return False
    parts = value.split("/")
    return all(part not in ("", ".", "..") and _is_short(part) for part in parts)


def _is_short(name):
    return len(name.encode(errors="replace")) <= 255


def is_size(value):
    """[height, width], whole numbers above 0"""
    is_pair = isinstance(value, list) and len(value) == 2
    return is_pair and all(is_amount(side) and 0 < side < _MAX_SIDE for side in value)


def are_names(value):
    """a list of str without control characters"""
    is_list = isinstance(value, list)
    return is_list and all(isinstance(name, str) and is_one_line(name) for name in value)


def are_colors(value):
    """a list of [red, green, blue], whole numbers from 0 to 255"""
    return isinstance(value, list) and all(map(_is_color, value))


def _is_color(value):
    is_triple = isinstance(value, list) and len(value) == 3 and all(map(is_whole, value))
    return is_triple and min(value) >= 0 and max(value) <= 255


def is_orientation_choice(value):
    """ "apply" (images are turned as EXIF says) or "ignore" (read as stored)"""
    return value in ("apply", "ignore")
