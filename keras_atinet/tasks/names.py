"""The names of tasks, and those under which their results are logged."""

import itertools
import re
import unicodedata

import keras

# What each backend takes as the name of a layer: TensorFlow no other sign, PyTorch no dot.
_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# Control characters, unpaired surrogates, breaks of lines and of paragraphs.
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
_OF_FIT = ("learning_rate", "seconds", "skipped_steps", "val_delta_m", "val_error")


def check_name(name, what="`name` of a task", where=""):
    """Refuses a name that a task cannot have on some backend.

    Args:
        name: the key of a task in outputs, targets, logs and files.
        what: str, what has the name, for the error.
        where: str, the place of the name, for the error.

    Raises:
        ValueError: if it is not a str of ASCII letters, digits, `_` and `-`, of which the first is
            a letter or a digit, or is `"image"`.
    """
    if not isinstance(name, str) or not _PATTERN.fullmatch(name) or name == "image":
        raise ValueError(
            f"{what} must be made of ASCII letters, digits, '_' and '-', begin with a letter or a "
            f"digit, and not be 'image'. Received: name={name!r}{where}. Choose e.g. 'depth'."
        )


def is_one_line(text):
    """Whether a text has no line breaks, nor signs that tell a terminal what to do."""
    return not any(unicodedata.category(sign) in _CONTROLS for sign in text)


def check_log_names(metrics, auxiliary=()):
    """Refuses tasks of which two results would be logged under one name.

    Args:
        metrics: dict task name -> Keras metrics, of all tasks of a model.
        auxiliary: names of the tasks with auxiliary outputs.

    Raises:
        ValueError: if a name would be logged twice, such as `val_loss` with a task `"val"`.
    """
    meaning = {}
    for name, what in log_names(metrics, auxiliary):
        if meaning.setdefault(name, what) != what:
            raise ValueError(
                "Every result of a model needs a name of its own in the logs. Received: "
                f"'{name}' for {meaning[name]} and for {what}. Rename the task or the metric."
            )


def log_names(metrics, auxiliary=()):
    """Yields each name in the logs of `fit`, and what is logged under it, for `check_log_names`."""
    held_out = [("loss", "the loss of all tasks")]
    for task, own in metrics.items():
        held_out.append((f"{task}_loss", f"the loss of task '{task}'"))
        names = map(_metric_name, keras.tree.flatten(own or ()))
        held_out += [(f"{task}_{name}", f"the metric '{name}' of task '{task}'") for name in names]
    yield from held_out
    yield from ((f"val_{name}", f"{what} in validation") for name, what in held_out)
    for task in metrics:
        for name in ("weight", "gradient_norm"):
            yield f"{task}_{name}", f"the {name.replace('_', ' ')} of task '{task}'"
    for task in auxiliary:
        yield f"{task}_auxiliary_loss", f"the auxiliary loss of task '{task}'"
    for pair in itertools.combinations(metrics, 2):
        yield f"{'_'.join(pair)}_cosine", f"the cosine between the tasks {pair}"
    yield from ((name, f"the '{name}' of `fit`") for name in _OF_FIT)


def _metric_name(metric):
    # An object, a function or a name.
    return getattr(metric, "name", None) or getattr(metric, "__name__", metric)
