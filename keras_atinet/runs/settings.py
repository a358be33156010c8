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
    "balancer": "dwa",
    "temperature": 2.0,
    "switch_at": 0.5,
    "on_nonfinite": "raise",
    "augment": True,
    "deep_split": False,
    "dtype": "float32",
    "remat": None,
    "seed": 0,
    "num_samples": 400,
    # Where there is no split to choose the best epoch on.
    "hold_out": 0.1,
    "averaging": "pixel",
    "class_weights": None,
}
PAPER = {
    **DEFAULT,
    "image_size": [288, 384],
    "filters": [64, 128, 256, 512, 512],
    "epochs": 200,
    "batch_size": 2,
    "learning_rate": 1e-4,
    "augment": False,
    "hold_out": 0.0,  # it chose no epoch
    "deep_split": True,
}
RECIPES = {"default": DEFAULT, "paper": PAPER}
MODELS = {
    "atinet": models.ATINet,
    "mtan": models.MTAN,
    "padnet": models.PADNet,
    "split": models.Split,
    "single": models.SingleTask,
}
