"""What is chosen by name, and the settings of a run with their defaults.

Imports no Keras, so that the command line can read its arguments before Keras and its backend are
imported. Tests hold the names equal to those of the classes.
"""

import dataclasses

BACKENDS = ("tensorflow", "jax", "torch")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
ON_NONFINITE = ("raise", "skip")
# Networks with their titles in tables, in whose order they stand there.
NETWORKS = {
    "single": "One Task",
    "split": "Split",
    "cross_stitch": "Cross-stitch",
    "nddrcnn": "NDDR-CNN",
    "mtan": "MTAN",
    "padnet": "PAD-Net",
    "supervised_padnet": "PAD-Net, supervised",
    "papnet": "PAP-Net",
    "jtrl": "JTRL",
    "mtinet": "MTI-Net",
    "atinet": "ATI-Net",
    "ctal": "CTAL",
}
# Those of the paper's table.
PAPER_NETWORKS = ("single", "split", "mtan", "padnet", "atinet")
BALANCERS = (
    *("equal", "dwa", "uncertainty", "rlw", "gls", "dtp", "imtl_l", "famo", "stch"),
    *("gradnorm", "pcgrad", "gradvac", "graddrop", "mgda", "cagrad", "imtl_g", "nashmtl"),
    *("aligned_mtl", "fairgrad", "upgrad"),
)

SCHEDULES = ("constant", "halve", "cosine")
# What an epoch is judged by on the held-out images, and its name in the logs.
BEST_BY = {"loss": "val_loss", "error": "val_error"}
AUGMENTATIONS = ("mirror", "color", "full", "none")
DECODERS = ("unet", "segformer", "aspp")

# Trained networks that come with the package, in `models/presets/`.
DEFAULT_PRESET = "split_efficientnet_lite2_nyuv2"
PRESETS = {
    DEFAULT_PRESET: "Split on EfficientNet-Lite2, 13 classes, depth and normals of indoor rooms "
    "(NYUv2), 144 x 192"
}

ROOMS = "rooms"
DEFAULT = {
    "data": ROOMS,
    "splits": ["train", "test"],
    "model": "atinet",
    "tasks": None,
    "image_size": [64, 96],
    "filters": [16, 32, 64, 64, 64],
    "encoder": None,
    "encoder_weights": None,
    "decoder": None,
    "decoder_filters": None,
    "freeze_encoder": None,
    "encoder_lr": None,
    "epochs": 12,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "schedule": "halve",
    "warmup": 0,
    "weight_decay": 0.0,
    "accumulate": 1,
    "best_by": "loss",
    "patience": None,
    "balancer": "dwa",
    "temperature": 2.0,
    "switch_at": 0.5,
    "on_nonfinite": "raise",
    "augment": "mirror",
    "deep_split": False,
    "dtype": "float32",
    "remat": None,
    "seed": 0,
    "deterministic": False,
    "num_samples": 400,
    # Where no split is there to choose the best epoch on.
    "hold_out": 0.1,
    "averaging": "pixel",
    "class_weights": None,
    "weights": None,
    "tensorboard": False,
}
PAPER = {
    **DEFAULT,
    "image_size": [288, 384],
    "filters": [64, 128, 256, 512, 512],
    "epochs": 200,
    "batch_size": 2,
    "learning_rate": 1e-4,
    "augment": "none",
    "hold_out": 0.0,  # it chose no epoch
    "deep_split": True,
}
PRETRAINED = {
    **DEFAULT,
    "model": "split",
    "image_size": [96, 128],
    "filters": [64, 96, 128, 256, 256],
    "encoder": "efficientnet_lite2",
    "encoder_weights": "imagenet",
    "epochs": 40,
    "batch_size": 8,
    "learning_rate": 1e-3,  # of 5e-4, 1e-3 and 2e-3: docs/encoders.md
    "schedule": "cosine",
    "augment": "color",
    "best_by": "error",  # docs/encoders.md
}
# From the weights that come with the package, at their size.
FINETUNE = {
    **PRETRAINED,
    "weights": DEFAULT_PRESET,
    "encoder_weights": None,  # they are among those
    "image_size": [144, 192],
    "epochs": 20,
    "learning_rate": 5e-4,
}
RECIPES = {"default": DEFAULT, "paper": PAPER, "pretrained": PRETRAINED, "finetune": FINETUNE}
SCALES = {
    "paper": PAPER,
    "small": {
        **PAPER,
        "image_size": [64, 96],
        "filters": [16, 32, 64, 128, 128],
        "epochs": 30,
        "batch_size": 8,
        "learning_rate": 5e-4,
    },
    "tiny": {
        **PAPER,
        "image_size": [32, 32],
        "filters": [4, 4, 4, 4, 4],
        "epochs": 4,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "num_samples": 20,
    },
}
# Share of the training samples that a protocol holds out, and the scores that it shows.
PROTOCOLS = {
    "both": (0.1, ("paper", "clean")),
    "paper": (0.0, ("paper",)),
    "clean": (0.1, ("clean",)),
}


def complete(settings):
    """The settings in a config, which an older version may have written, with today's keys."""
    settings = {**DEFAULT, "hold_out": 0.0, **settings}
    if isinstance(settings["augment"], bool):
        settings["augment"] = "mirror" if settings["augment"] else "none"
    return settings


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of files.

    Args:
        title: str, the runtime that reads it.
        backend: str, the backend of Keras that writes it.
        suffix: str, of the file; empty for a folder.
        writers: tuple of str, the packages that write it, beside the backend.
        keras: tuple of int, the oldest version of Keras that writes it.
    """

    title: str
    backend: str
    suffix: str
    writers: tuple = ()
    keras: tuple = (3, 12)


FORMATS = {
    "tf_saved_model": Format("TensorFlow", "tensorflow", ""),
    "onnx": Format("ONNX Runtime", "tensorflow", ".onnx", ("onnx", "tf2onnx")),
    "openvino": Format("OpenVINO", "tensorflow", ".xml", ("openvino",)),
    "litert": Format("LiteRT", "tensorflow", ".tflite", keras=(3, 13)),
    "torch": Format("torch.export", "torch", ".pt2", keras=(3, 15)),
}
QUANTIZED = ["onnx", "openvino"]
PRESET = "preset"  # what `export` writes beside these formats
PRESET_DTYPES = ("float32", "float16")
