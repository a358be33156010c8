"""`keras-atinet demo`."""

import pathlib

from keras_atinet import files
from keras_atinet.cli.paths import visible
from keras_atinet.cli.predict import print_model, print_notes
from keras_atinet.data.sources.pillow import pillow
from keras_atinet.prediction import Predictor
from keras_atinet.prediction.example import example_room
from keras_atinet.prediction.writing import can_draw, file_names, write_predictions

_NAME = "room"


def run(arguments, argv):
    """Predicts a synthetic room."""
    out = pathlib.Path(arguments.out)
    files.make_folder(out)
    print_model(arguments.model)
    predictor = Predictor(arguments.model)
    room = example_room()
    with files.replacing(out / f"{_NAME}.png") as new:
        pillow().fromarray(room).save(new)
    notes = write_predictions(out, _NAME, room, predictor(room), predictor.tasks)
    print_notes(notes)
    names = ", ".join(f"{_NAME}{end}" for end in [".png", *file_names(predictor.tasks)])
    print(visible(f"A synthetic room, predicted, in {out}: {names}"))
    if can_draw():
        print(visible(f"To look at: {out / _NAME}_all.png"))
    print("With a photograph: keras-atinet predict photo.jpg")
