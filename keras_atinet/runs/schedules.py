"""The learning rate of each epoch."""

import math

from keras_atinet.settings import SCHEDULES

_IN_WORDS = {"constant": "", "halve": " halved halfway", "cosine": " to 0 by a cosine"}


def learning_rate(settings, epoch):
    """The learning rate of an epoch, the same wherever a training was resumed.

    With the rate `r`, `E` epochs and `W` of them to warm up, in epoch `e` from 0 on

    `r * min(1, (e + 1) / (W + 1)) * factor`, and `factor` is
    1 (`"constant"`); 1 in the first half of the epochs, else 1/2 (`"halve"`);
    `(1 + cos(pi max(0, e - W) / (E - W))) / 2` (`"cosine"`, 0 after the last epoch).

    Args:
        settings: dict with the keys of `DEFAULT`.
        epoch: int, from 0.

    Raises:
        ValueError: if there is no such schedule, or `warmup` is not below the number of epochs.
    """
    schedule, epochs, warmup = (settings[key] for key in ("schedule", "epochs", "warmup"))
    if schedule not in SCHEDULES:
        raise ValueError(
            f"The setting `schedule` must be one of {list(SCHEDULES)}. Received: {schedule!r}."
        )
    if not 0 <= warmup < epochs:
        raise ValueError(
            "The setting `warmup` must be a number of epochs, not below 0 and below `epochs`. "
            f"Received: warmup={warmup}, epochs={epochs}. Warm up for fewer."
        )
    factor = 1
    if schedule == "halve":
        factor = 1 if epoch < epochs / 2 else 0.5
    elif schedule == "cosine":
        factor = (1 + math.cos(math.pi * max(0, epoch - warmup) / (epochs - warmup))) / 2
    return settings["learning_rate"] * min(1, (epoch + 1) / (warmup + 1)) * factor


def second_phase(settings):
    """The first epoch of ATI-Net's second phase, from 0; 0 for what has no two phases."""
    if settings["model"] != "atinet" or settings["switch_at"] == 1:
        return 0
    # As `PhaseSwitch` computes it.
    return math.floor(settings["switch_at"] * settings["epochs"] + 1e-9)


def optimizer_line(settings):
    """How the settings update weights, e.g. `"Adam 0.001 halved halfway"`."""
    name = "AdamW" if settings["weight_decay"] else "Adam"
    line = f"{name} {settings['learning_rate']:g}{_IN_WORDS[settings['schedule']]}"
    if settings["warmup"]:
        line += f" after {settings['warmup']} epochs of warm-up"
    if settings["weight_decay"]:
        line += f", weight decay {settings['weight_decay']:g}"
    if settings["accumulate"] > 1:
        line += f", gradients of {settings['accumulate']} batches accumulated"
    return line
