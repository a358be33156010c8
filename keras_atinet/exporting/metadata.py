"""What exported files say of themselves: the tasks and the images of the network, as JSON."""

import json
import pathlib
import zipfile

from keras_atinet.tasks import TASKS
from keras_atinet.version import __version__

KEY = "keras_atinet"
_FILE = f"{KEY}.json"
_SAVED_MODEL_FILE = pathlib.Path("assets.extra", _FILE)


def describe(model, input_shape):
    """What a program needs to know that has the file and not the network.

    Args:
        model: `MultiTaskModel`.
        input_shape: `(batch, height, width, channels)`, None for any.

    Returns:
        Dict for JSON: `version` of this package, `network`, `image` (`name`, `shape`, `layout`,
        `channels`, `range`) and `tasks`, by name: `kind` (a name of a task, or the class of one of
        the user's own), `channels`, and for classes `class_names` (or None) and `class_colors`.
    """
    return {
        "version": __version__,
        "network": type(model).__name__,
        "image": {
            "name": "image",
            "shape": list(input_shape),
            "layout": "NHWC",
            "channels": "RGB",
            "range": [0, 1],
        },
        "tasks": {task.name: _describe_task(task) for task in model.tasks},
    }


def _describe_task(task):
    kinds = {kind: name for name, kind in TASKS.items()}
    facts = {"kind": kinds.get(type(task), type(task).__name__), "channels": task.channels}
    names = [name for name in ("class_names", "class_colors") if hasattr(task, name)]
    return {**facts, **{name: getattr(task, name) for name in names}}


def add_metadata(path, format, metadata):
    """Writes metadata into an exported file, whose runtime takes it as before.

    Args:
        path: `pathlib.Path` of the file or folder.
        format: str, a key of `FORMATS`.
        metadata: dict from `describe`.
    """
    _WRITERS[format](path, json.dumps(metadata))


def read_from_files(path):
    """The text of the metadata in a folder of TensorFlow or in an archive; None without any."""
    if path.is_dir():
        file = path / _SAVED_MODEL_FILE
        return file.read_text(encoding="utf-8") if file.is_file() else None
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.rpartition("/")[2] == _FILE]
        return archive.read(names[0]).decode() if names else None


def _write_onnx(path, text):
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {KEY: text})
    # In the place of numbers of tf2onnx, and the same for image and predictions.
    for value in (*model.graph.input, *model.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        for dimension, name in zip(dimensions, ("batch", "height", "width"), strict=False):
            if not dimension.HasField("dim_value"):
                dimension.dim_param = name
    onnx.save(model, path)


def _write_openvino(path, text):
    from xml.etree import ElementTree

    tree = ElementTree.parse(path)
    info = tree.find("rt_info")
    if info is None:
        info = ElementTree.SubElement(tree.getroot(), "rt_info")
    ElementTree.SubElement(info, KEY, value=text)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _write_saved_model(path, text):
    file = path / _SAVED_MODEL_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _write_archive(path, text):
    # A .pt2 file is an archive; to a .tflite file one may be appended (TensorFlow Lite calls it
    # associated files).
    root = ""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            root = archive.namelist()[0].partition("/")[0] + "/extra/"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(root + _FILE, text)


_WRITERS = {
    "tf_saved_model": _write_saved_model,
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "litert": _write_archive,
    "torch": _write_archive,
}
