"""What a run is made of: the settings, and their defaults."""

from keras_atinet import models

ROOMS = "rooms"
DEFAULT = {
    "data": ROOMS,
    "splits": ["train", "test"],
    "model": "atinet",
    "tasks": None,
    "image_size": [64, 96],
    "filters": [16, 32, 64, 64, 64],
    "epochs": 12,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "schedule": "halve",
    "warmup": 0,
    "weight_decay": 0.0,
    "accumulate": 1,
    "patience": None,
    "balancer": "dwa",
    "temperature": 2.0,
    "switch_at": 0.5,
    "on_nonfinite": "raise",
    "augment": "mirror",
    "deep_split": False,
    "dtype": "float32",
    "remat": None,
    "seed": 0,
    "deterministic": False,
    "num_samples": 400,
    "hold_out": 0.0,
    "averaging": "pixel",
    "class_weights": None,
    "weights": None,
    "tensorboard": False,
}
PAPER = {
    **DEFAULT,
    "image_size": [288, 384],
    "filters": [64, 128, 256, 512, 512],
    "epochs": 200,
    "batch_size": 2,
    "learning_rate": 1e-4,
    "augment": "none",
    "deep_split": True,
}
AUGMENTATIONS = ("mirror", "full", "none")
SCHEDULES = ("constant", "halve", "cosine")
# What values meant in the configs of older versions.
_BEFORE = {"augment": {True: "mirror", False: "none"}}
RECIPES = {"default": DEFAULT, "paper": PAPER}
MODELS = {
    "atinet": models.ATINet,
    "mtan": models.MTAN,
    "padnet": models.PADNet,
    "split": models.Split,
    "single": models.SingleTask,
}


def complete(settings):
    """The settings of a config, which an older version may have written, with today's keys."""
    found = {
        key: _BEFORE[key].get(value, value) if key in _BEFORE else value
        for key, value in settings.items()
    }
    return {**DEFAULT, **found}
