"""Sources of samples, transforms of samples, batches of samples."""

from keras_atinet.data.augmentation import random_color, random_mirror, random_scale_crop
from keras_atinet.data.batches import Batches
from keras_atinet.data.color import adjust_color, normalize_image
from keras_atinet.data.folder import Folder
from keras_atinet.data.hugging_face import HuggingFace
from keras_atinet.data.masking import mask_depth, mask_labels
from keras_atinet.data.mtan_arrays import MTANArrays
from keras_atinet.data.normals import normals_from_depth
from keras_atinet.data.nyuv2_mat import NYUv2Mat
from keras_atinet.data.opening import open_source, splits
from keras_atinet.data.parquet import Parquet
from keras_atinet.data.parts import Part, Subset, hold_out
from keras_atinet.data.pipeline import pipeline
from keras_atinet.data.prepared import Prepared
from keras_atinet.data.preparing import prepare
from keras_atinet.data.rooms import Rooms
from keras_atinet.data.scale_crop import scale_crop
from keras_atinet.data.source import Source
from keras_atinet.data.tfds_registration import register_with_tfds
from keras_atinet.data.tfds_source import TFDS
from keras_atinet.data.transforms import fill_missing, mirror, resize

register_with_tfds()

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
