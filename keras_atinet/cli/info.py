"""`keras-atinet info`."""

import importlib.metadata

import keras

from keras_atinet import models, runs
from keras_atinet.runs import environment

_NETWORKS = (
    ("ATINet", models.ATINet, {}),
    ("MTAN", models.MTAN, {}),
    ("PADNet", models.PADNet, {}),
    ("Split(deep=True)", models.Split, {"deep": True}),
    ("SingleTask for segmentation", models.SingleTask, {"tasks": "segmentation"}),
)
_OPTIONAL = (
    *("tensorflow", "tensorflow-datasets", "jax", "torch", "keras-tuner", "matplotlib", "pillow"),
    *("h5py", "pyarrow", "datasets"),
    *("onnx", "tf2onnx", "onnxruntime", "openvino", "nncf", "ai-edge-litert"),
)


def run(arguments, argv):
    """Prints what is installed, and the facts of a model."""
    _print(
        {
            **environment.versions(),
            "devices": ", ".join(environment.devices()),
            "installed": ", ".join(_installed()),
        }
    )
    print()
    if arguments.model is None:
        print("Trainable parameters of the paper's networks, 13 classes:")
        for name, parameters in _parameters():
            print(f"{name:30}{parameters:12,}")
    else:
        file, _ = runs.find_model(arguments.model)
        _print(_facts(runs.load_model(file), file))


def _print(facts):
    for name, value in facts.items():
        print(f"{name:14}{value}")


def _installed():
    for name in _OPTIONAL:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue


def _parameters():
    for name, network, options in _NETWORKS:
        # Nothing is allocated in this scope.
        with keras.StatelessScope():
            model = network(**options)
        yield name, runs.count_parameters(model)


def _facts(model, file):
    facts = {
        "model": f"{type(model).__name__} ({file})",
        "tasks": ", ".join(f"{task.name} ({task.channels})" for task in model.tasks),
        "input": " x ".join(map(str, model.input_shape[1:])),
        "filters": " ".join(map(str, model.get_config()["filters"])),
        "parameters": f"{runs.count_parameters(model):,} trainable",
        "dtype": model.dtype_policy.name,
    }
    if hasattr(model, "distillation_active"):
        share = model.distillation_share
        names = {0.0: "1 (not distilled)", 1.0: "2 (distilled)"}
        facts["phase"] = names.get(share, f"2 ({share:.0%} distilled)")
    if model.compiled:
        facts["balancer"] = type(model.balancer).__name__
        facts["optimizer"] = model.get_compile_config()["optimizer"]["class_name"]
    return facts
