"""`keras-atinet serve`."""

import pathlib
import re
import time

from keras_atinet import runs
from keras_atinet.cli.paths import visible
from keras_atinet.cli.predict import print_model
from keras_atinet.models.presets.card import model_card
from keras_atinet.models.presets.files import CARD
from keras_atinet.prediction import Predictor
from keras_atinet.serving import serving
from keras_atinet.settings import PRESETS

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def run(arguments, argv):
    """Serves the page until Ctrl-C."""
    print_model(arguments.model)
    place, _ = runs.find_model(arguments.model)
    model = runs.load_model(place, compile=False)
    # A page shows no folders of this computer.
    name = arguments.model if arguments.model in PRESETS else pathlib.Path(arguments.model).name
    bounds = arguments.max_megabytes, arguments.max_megapixels
    about = _FRONT_MATTER.sub("", _read_card(place) or model_card(model, name))
    page = serving(Predictor(model), name, about, arguments.host, arguments.port, *bounds)
    with page as address:
        print(visible(f"Serving {address} until Ctrl-C."), flush=True)
        while True:
            time.sleep(1)


def _read_card(place):
    # That in the folder of a preset, or "". It is shown, whatever it is.
    card = place / CARD
    return card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
