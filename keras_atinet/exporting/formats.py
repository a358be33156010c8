"""What a model can be exported to, and on which backend."""

import importlib.util
import pathlib
import warnings

import keras

from keras_atinet.exporting.metadata import add_metadata, describe
from keras_atinet.exporting.onnx_repair import repair
from keras_atinet.files import replacing
from keras_atinet.settings import FORMATS

_MIN_SIZE = 64  # of an image of any size in a program of PyTorch, which takes a 1 for fixed


def export_model(model, path, format="onnx", input_shape=None, batch_size=None):
    """Writes a network, as `for_inference` gives it, in float32, with Keras's own `export`.

    The file takes images `(batch, height, width, channels)` in `[0, 1]` and gives the predictions
    by the names of the tasks. It needs neither Keras nor this package, nor any custom operator. It
    says what it is: `ExportedModel.metadata`.

    Args:
        model: `MultiTaskModel`.
        path: str or path of the file; of a folder for `"tf_saved_model"`. `"openvino"` writes a
            `.bin` file beside the `.xml` file.
        format: `"tf_saved_model"`, `"onnx"`, `"openvino"`, `"litert"` or `"torch"`.
            Defaults to `"onnx"`.
        input_shape: optional `(height, width, channels)`, as for `for_inference`; None stands for
            any (at least 64 for `"torch"`). Defaults to the size of the model.
        batch_size: optional int, the only batch size to take. Defaults to any.

    Returns:
        The path, a `pathlib.Path`.

    Raises:
        ValueError: if the format is unknown, the suffix of `path` is that of another, Keras runs
            on another backend than the format needs, or the network does not take such a size.
        OSError: if the system refuses to write it; what was there before is unchanged.
        ImportError: if a package is missing that writes the format, or Keras is too old for it.

    Example:
        >>> export_model(keras.saving.load_model("best.keras"), "best.onnx", batch_size=1)
    """
    path, form = pathlib.Path(path), get_format(format)
    check_packages(form.writers, f"writes the format '{format}'")
    if keras.backend.backend() != form.backend:
        raise ValueError(
            f"The format '{format}' is written on the backend '{form.backend}'. "
            f"Received: '{keras.backend.backend()}'. The weights are the same on all: set the "
            f"environment variable KERAS_BACKEND={form.backend}, or use `keras-atinet export`."
        )
    if path.suffix != form.suffix and form.suffix:
        raise ValueError(
            f"A file of the format '{format}' ends with '{form.suffix}'. Received: '{path}'."
        )
    if not is_written_by(keras.version(), form):
        raise ImportError(
            f"The format '{format}' needs Keras {'.'.join(map(str, form.keras))} or newer. "
            f"Received: Keras {keras.version()}. Update it: pip install --upgrade keras"
        )
    folded = model.for_inference(input_shape, batch_size, dtype="float32")
    shape, options = (batch_size, *folded.input_shape[1:]), {}
    if format == "torch":
        shape, options = _torch_example(shape)
    signature = [keras.InputSpec(shape=shape, dtype="float32", name="image")]
    metadata = describe(model, (batch_size, *folded.input_shape[1:]))
    with replacing(path) as unfinished, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)  # of tf2onnx about NumPy
        # PyTorch's, about kernels whose layout in memory is not that of their shape.
        warnings.filterwarnings("ignore", message="No complete tensor found")
        options |= {"format": format, "verbose": False, "input_signature": signature}
        folded.export(str(unfinished), **options)
        if format == "onnx":
            repair(unfinished)
        add_metadata(unfinished, format, metadata)
    return path


def is_written_by(version, form):
    """Whether a version of Keras, a str, writes a `Format`."""
    return tuple(map(int, version.split(".")[:2])) >= form.keras


def get_format(name):
    """The `Format` of a name.

    Raises:
        ValueError: if there is none.
    """
    if name not in FORMATS:
        raise ValueError(f"`format` must be one of {list(FORMATS)}. Received: format={name!r}.")
    return FORMATS[name]


def check_packages(names, purpose):
    """Raises an ImportError if one of some packages is not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"There is no package '{missing[0]}', which {purpose}. "
            "Install what exporting needs: pip install keras-atinet[export]"
        )


def _torch_example(shape):
    # Traced with an example, of which some sizes are not taken for fixed.
    import torch

    any_size = {axis: torch.export.Dim.AUTO for axis, size in enumerate(shape) if size is None}
    example = (2, _MIN_SIZE, _MIN_SIZE + 32)
    shape = [size or example[axis] for axis, size in enumerate(shape)]
    return tuple(shape), {"dynamic_shapes": any_size} if any_size else {}
