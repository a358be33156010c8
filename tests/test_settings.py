"""The names that the command line offers without Keras are those of what they stand for."""

import json
from pathlib import Path

import pytest

import keras_atinet
from keras_atinet import balancing, exporting, runs, settings
from keras_atinet.data.transforms.augmentation import AUGMENTATIONS
from keras_atinet.exporting.quantization import _TOOLS
from keras_atinet.models.decoders import DECODERS
from keras_atinet.models.encoders import encoder_names

pytestmark = pytest.mark.backend_free


def test_names_are_those_of_the_classes():
    assert tuple(balancing.BALANCERS) == settings.BALANCERS
    assert set(runs.MODELS) == set(settings.NETWORKS)
    assert set(exporting.RUNTIMES) == set(settings.FORMATS)
    quantized = [name for name, form in settings.FORMATS.items() if form.suffix in _TOOLS]
    assert quantized == settings.QUANTIZED
    assert set(DECODERS) == set(settings.DECODERS)
    assert set(AUGMENTATIONS) == set(settings.AUGMENTATIONS)


def test_settings_are_among_the_names():
    for values in (*settings.RECIPES.values(), *settings.SCALES.values()):
        assert set(values) == set(settings.DEFAULT)
        assert values["model"] in settings.NETWORKS and values["balancer"] in settings.BALANCERS
        assert values["dtype"] in settings.PRECISIONS
        assert values["on_nonfinite"] in settings.ON_NONFINITE
        assert values["augment"] in settings.AUGMENTATIONS
        assert values["encoder"] in (None, *encoder_names())
        assert values["schedule"] in settings.SCHEDULES
    assert {form.backend for form in settings.FORMATS.values()} <= set(settings.BACKENDS)


def test_the_recipe_finetune_is_of_the_shipped_network():
    folder = Path(keras_atinet.__file__).parent / "models/presets" / settings.DEFAULT_PRESET
    saved = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    recipe = settings.FINETUNE
    assert saved["class_name"].lower() == recipe["model"]
    assert saved["config"]["filters"] == recipe["filters"]
    assert saved["config"]["input_shape"] == [*recipe["image_size"], 3]
    assert recipe["encoder"] in json.dumps(saved["config"]["encoder"])
