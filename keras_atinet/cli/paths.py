"""Names of files: whether what the arguments name is there, and how a terminal shows them."""

import difflib
import glob
import pathlib

from keras_atinet.cli.options.shared import SOURCES
from keras_atinet.settings import PRESETS, ROOMS

_DATA = f" Data are 'rooms', or a {SOURCES}."
_MODEL = f" Name a .keras file, a run folder or a preset ({', '.join(PRESETS)})."
_MODELS = ("model", "weights")
_EXPECTED = {"data": _DATA, "source": _DATA, **dict.fromkeys(_MODELS, _MODEL)}


def check_paths(arguments, names):
    """Refuses paths where nothing is.

    Args:
        arguments: `argparse.Namespace`.
        names: sequence of str, of the arguments that are paths, None or lists of paths. Sources of
            data and models may have other names, such as `"rooms"`, `"tfds:NAME"`, and presets.

    Raises:
        FileNotFoundError: if there is no such file or folder.
    """
    for name in names:
        given = getattr(arguments, name, None) or []
        for path in [given] if isinstance(given, str) else given:
            if path == ROOMS or path in PRESETS or ":" in path or _exists(path):
                continue
            if is_pattern(path):
                if next(glob.iglob(path, recursive=True), None) is None:
                    raise FileNotFoundError(f"No file fits the pattern. Received: '{path}'.")
                continue
            others = PRESETS if name in _MODELS else ()
            hint = _nearest(pathlib.Path(path), others) or _EXPECTED.get(name, "")
            raise FileNotFoundError(f"There is no such file or folder. Received: '{path}'.{hint}")


def is_pattern(path):
    """Whether a path stands for all files that fit it, as `"photos/*.jpg"` does.

    A shell makes names of it first, unless it stands in quotes or is one that does not.
    """
    return glob.has_magic(str(path)) and not _exists(path)


def visible(text):
    """A text with its control characters written out: names of files may have some."""
    controls = {*range(32), *range(127, 160)} - {ord("\n")}
    return text.translate({code: f"\\x{code:02x}" for code in controls})


def _exists(path):
    try:
        return pathlib.Path(path).exists()
    except OSError:  # A name that is too long, or links in a circle: whoever opens it says so.
        return True


def _nearest(path, others):
    found = difflib.get_close_matches(str(path), others, n=1)
    if found:
        return f" Did you mean '{found[0]}'?"
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    found = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean '{path.with_name(found[0])}'?" if found else ""
