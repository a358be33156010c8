"""Data for training: sources of samples, transforms of samples, batches of samples."""

from keras_atinet.data.batching.batches import Batches
from keras_atinet.data.batching.tf_data import pipeline
from keras_atinet.data.nyuv2.mat_file import NYUv2Mat
from keras_atinet.data.opening import open_source, splits
from keras_atinet.data.parts import Part, Subset, hold_out
from keras_atinet.data.preparation.median_frequency import class_weights
from keras_atinet.data.preparation.prepare import prepare
from keras_atinet.data.preparation.prepared import Prepared
from keras_atinet.data.rooms.rooms import Rooms
from keras_atinet.data.source import Source
from keras_atinet.data.sources.folder import Folder
from keras_atinet.data.sources.hugging_face import HuggingFace
from keras_atinet.data.sources.mtan_arrays import MTANArrays
from keras_atinet.data.sources.parquet import Parquet
from keras_atinet.data.sources.tfds import TFDS
from keras_atinet.data.transforms.augmentation import random_color, random_mirror, random_scale_crop
from keras_atinet.data.transforms.color import adjust_color, normalize_image
from keras_atinet.data.transforms.fill_missing import fill_missing
from keras_atinet.data.transforms.masking import mask_depth, mask_labels
from keras_atinet.data.transforms.mirror import mirror
from keras_atinet.data.transforms.normals_from_depth import normals_from_depth
from keras_atinet.data.transforms.resize import resize
from keras_atinet.data.transforms.scale_crop import scale_crop

__all__ = [
    "TFDS",
    "Batches",
    "Folder",
    "HuggingFace",
    "MTANArrays",
    "NYUv2Mat",
    "Parquet",
    "Part",
    "Prepared",
    "Rooms",
    "Source",
    "Subset",
    "adjust_color",
    "class_weights",
    "fill_missing",
    "hold_out",
    "mask_depth",
    "mask_labels",
    "mirror",
    "normalize_image",
    "normals_from_depth",
    "open_source",
    "pipeline",
    "prepare",
    "random_color",
    "random_mirror",
    "random_scale_crop",
    "resize",
    "scale_crop",
    "splits",
]
