"""`keras-atinet demo`."""

import pathlib

import numpy as np

from keras_atinet import files
from keras_atinet.cli.paths import visible
from keras_atinet.cli.predict import print_model
from keras_atinet.data import Rooms
from keras_atinet.data.sources.pillow import pillow
from keras_atinet.prediction import Predictor
from keras_atinet.prediction.writing import file_names, write_predictions

_SIZE = 480, 640
_NAME = "room"


def run(arguments, argv):
    """Predicts a synthetic room."""
    out = pathlib.Path(arguments.out)
    files.make_folder(out)
    print_model(arguments.model)
    predictor = Predictor(arguments.model)
    room = np.rint(255 * Rooms(1, _SIZE, split="demo")[0]["image"]).astype("uint8")
    with files.replacing(out / f"{_NAME}.png") as new:
        pillow().fromarray(room).save(new)
    notes = write_predictions(out, _NAME, room, predictor(room), predictor.tasks)
    for note in notes:
        print(visible(note))
    *others, last = (f"{_NAME}{end}" for end in [".png", *file_names(predictor.tasks)])
    print(visible(f"A synthetic room, predicted, in {out}: {', '.join(others)}"))
    print(visible(f"All side by side: {out / last}"))
    print("A photograph of your own: keras-atinet predict photo.jpg")
