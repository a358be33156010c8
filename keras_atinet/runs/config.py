"""What `config.json` of a run folder may hold."""

from keras_atinet.files import read_json
from keras_atinet.settings import (
    AUGMENTATIONS,
    BACKENDS,
    BALANCERS,
    BEST_BY,
    DEFAULT,
    NETWORKS,
    ON_NONFINITE,
    SCHEDULES,
)

_WAY_OUT = (
    "Put it back from a copy, or begin a new run; the models of this one can be used as they are, "
    "copied to another folder."
)
# Without them a run would be another.
_REQUIRED = ("data", "model", "epochs", "seed")
_CHOICES = {
    "model": NETWORKS,
    "balancer": BALANCERS,
    "schedule": SCHEDULES,
    "augment": (*AUGMENTATIONS, True, False),  # as older versions wrote it
    "on_nonfinite": ON_NONFINITE,
    "best_by": BEST_BY,
    "averaging": ("pixel", "batch"),
}
# What settings are that are `None` by default.
OPTIONAL = {
    "tasks": [""],
    "encoder": "",
    "encoder_weights": "",
    "decoder": "",
    "decoder_filters": [1],
    "freeze_encoder": 1,
    "encoder_lr": 1.0,
    "patience": 1,
    "remat": "",
    "class_weights": "",
    "weights": "",
}
_FROM_ZERO = ("seed", "warmup")
_HIGHEST = {"seed": 2**32 - 1, "switch_at": 1}
_LENGTHS = {"image_size": (2,), "filters": (5,), "splits": (1, 2, 3)}


def read_config(file):
    """What `Run.create` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged: no JSON, no settings or versions, or one that cannot be.
    """
    try:
        config = read_json(file)
    except ValueError as error:
        raise ValueError(f"{error} {_WAY_OUT}") from error
    for problem in _problems(config):
        raise ValueError(
            f"The description of a run is damaged: {problem}. Received: '{file}'. {_WAY_OUT}"
        )
    return config


def check_known(settings):
    """Refuses settings without a meaning here, of a newer version or misspelt.

    Raises:
        ValueError: if a key is not one of `DEFAULT`.
    """
    unknown = sorted(set(settings) - set(DEFAULT))
    if unknown:
        raise ValueError(
            f"A run has the settings {', '.join(DEFAULT)}. Received others as well: "
            f"{', '.join(unknown)}. Update the package if a newer version wrote them."
        )


def _problems(config):
    for part in ("settings", "versions"):
        if not isinstance(config.get(part), dict):
            yield f"it has no {part!r}"
            return
    settings, backend = config["settings"], config["versions"].get("backend")
    if backend not in BACKENDS:
        yield f"its backend is {backend!r:.40}, not one of {', '.join(BACKENDS)}"
    for key in _REQUIRED:
        if key not in settings:
            yield f"its settings lack {key!r}"
    for key, value in settings.items():
        if key in _CHOICES and not (isinstance(value, (str, bool)) and value in _CHOICES[key]):
            yield f"its {key!r} is {value!r:.40}, not one of {', '.join(map(str, _CHOICES[key]))}"
        elif key in DEFAULT and key not in _CHOICES and not _fits(key, value):
            yield f"its {key!r} cannot be {value!r:.40}"


def _fits(key, value):
    default = DEFAULT[key]
    if default is None:
        return value is None or _is_like(key, value, OPTIONAL[key])
    return _is_like(key, value, default) and not (
        key in _LENGTHS and len(value) not in _LENGTHS[key]
    )


def _is_like(key, value, example):
    if key == "splits" and value == [None]:  # data that are not split
        return True
    if isinstance(example, list):
        is_list = isinstance(value, list) and len(value) > 0
        return is_list and all(_is_like(key, entry, example[0]) for entry in value)
    if isinstance(value, bool) or isinstance(example, (bool, str)):
        return type(value) is type(example)
    if isinstance(example, float):
        return isinstance(value, (int, float)) and 0 <= value <= _HIGHEST.get(key, 2**62)
    lowest, highest = int(key not in _FROM_ZERO), _HIGHEST.get(key, 2**62)
    return isinstance(value, int) and lowest <= value <= highest
