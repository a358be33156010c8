"""Sources of samples, transforms of samples, batches of samples."""

from keras_atinet.data.folder import Folder
from keras_atinet.data.normals import normals_from_depth
from keras_atinet.data.pipeline import pipeline
from keras_atinet.data.rooms import Rooms
from keras_atinet.data.source import Source
from keras_atinet.data.transforms import fill_missing, mirror, resize

__all__ = [
    "Folder",
    "Rooms",
    "Source",
    "fill_missing",
    "mirror",
    "normals_from_depth",
    "pipeline",
    "resize",
]
