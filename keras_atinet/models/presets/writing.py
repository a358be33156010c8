"""From a network to a preset."""

import pathlib
import shutil

from keras_atinet.files import is_free, replacing
from keras_atinet.models.presets.card import model_card
from keras_atinet.models.presets.configs import write_config
from keras_atinet.models.presets.files import CARD, CONFIG, METADATA, WEIGHTS, write_metadata
from keras_atinet.models.presets.weights import write_weights
from keras_atinet.settings import PRESET_DTYPES


def save_to_preset(model, directory, dtype, card, needed):
    """See `MultiTaskModel.save_to_preset`; `needed`: int, about how many bytes it takes."""
    if dtype not in PRESET_DTYPES:
        raise ValueError(
            f"`dtype` of `save_to_preset` must be one of {PRESET_DTYPES}. "
            f"Received: dtype={dtype!r}."
        )
    directory = pathlib.Path(directory)
    if not is_free(directory) and not (directory / METADATA).is_file():
        raise FileExistsError(
            "A preset is written to a folder that is new, empty or a preset, which it replaces. "
            f"Received: '{directory}'. Choose another."
        )
    with replacing(directory, needed) as new:
        new.mkdir()
        plain = write_config(new / CONFIG, model)
        for variable, value in zip(_weights(plain), _weights(model), strict=True):
            variable.assign(value)
        write_weights(new / WEIGHTS, plain, dtype)
        write_metadata(new, plain)
        if card is None and (directory / CARD).is_file():
            shutil.copyfile(directory / CARD, new / CARD)
        else:
            text = model_card(plain, directory.absolute().name) if card is None else card
            (new / CARD).write_text(text, encoding="utf-8", newline="")


def _weights(model):
    # Those of its layers; a balancer's, a compiled model's alone, are not among them.
    layers = [*model.layers, *model.auxiliary_layers]
    return [weight for layer in layers for weight in layer.weights]
