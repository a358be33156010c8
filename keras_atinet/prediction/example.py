"""A picture to try a model on."""

import numpy as np

from keras_atinet.data import Rooms


def example_room():
    """A synthetic room, uint8 `(480, 640, 3)`; most of the 13 classes of NYUv2 are in it."""
    room = Rooms(4, image_size=(480, 640), split="room")[3]
    return np.rint(255 * room["image"]).astype("uint8")
