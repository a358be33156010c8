"""From RGB in [0, 1] to what an encoder was trained on."""

import re
import warnings

import keras
import numpy as np
from keras import ops

from keras_atinet.internals import graph_nodes
from keras_atinet.layers.copying import copy_layer

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CAFFE_MEAN = np.array([103.939, 116.779, 123.68])  # blue, green, red
# Scale and offset; `tf`, `torch` and `caffe` are the modes of Keras's `preprocess_input`.
MODES = {
    "unit": (1, 0),
    "rgb255": (255, 0),
    "tf": (2, -1),
    "torch": (1 / DEVIATION, -MEAN / DEVIATION),
    "caffe": (255, -CAFFE_MEAN),
    "efficientnet_lite": (255 / 128, -127 / 128),
}
# Names of our models, then of those of `keras.applications` whose graph does not scale images.
NAMES = {
    r"efficientnet_lite\d": "efficientnet_lite",
    r"mobilenet_v2": "torch",
    r"resnet\d+|vgg\d+": "caffe",
    r"resnet\d+v2|xception|inception_v3|inception_resnet_v2|NASNet": "tf",
    r"mobilenet(v2)?_\d\.\d\d_(\d+|None)|MobileNetV3(Small|Large)|efficientnetv2-[sml]": "tf",
    r"densenet\d+|convnext_\w+|efficientnetv2-b\d": "torch",
}
SMALLEST_SCALE_OF_UNIT_IMAGES = 1 / 16


@keras.saving.register_keras_serializable(package="keras_atinet")
class ReverseChannels(keras.layers.Layer):
    """Reverses the order of channels, from RGB to BGR: `y[..., c] = x[..., C - 1 - c]`.

    Call arguments:
        inputs: tensor `(batch, height, width, channels)`.

    Returns:
        Tensor of the same shape and dtype.
    """

    def call(self, inputs):
        return ops.take(inputs, list(range(inputs.shape[-1]))[::-1], axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape


def preprocessing_for(model, preprocessing=None):
    """Layers that bring RGB in `[0, 1]` to what an encoder was trained on.

    Without `preprocessing`, a model whose graph begins with the scaling of 0 to 255 gets that
    range, and for other models of `keras.applications` and of this package the name tells. Where
    neither does, images go in unchanged, with a warning.

    Args:
        model: functional `keras.Model`, the encoder.
        preprocessing: `"unit"` (`[0, 1]`), `"rgb255"` (0 to 255), `"tf"` (`[-1, 1]`), `"torch"`
            (ImageNet's mean 0 and deviation 1), `"caffe"` (BGR, 0 to 255 less ImageNet's mean), or
            `"efficientnet_lite"`; or a Keras layer, or a list of layers.

    Returns:
        List of layers of their own, to be called one after another; may be empty.

    Raises:
        ValueError: if `preprocessing` is none of these, or is for another number of channels.
    """
    channels = model.inputs[0].shape[-1]
    if preprocessing is not None and not isinstance(preprocessing, str):
        return _copies(preprocessing)
    mode = preprocessing or _mode_of_graph(model) or _mode_of_name(model.name)
    if mode is None:
        warnings.warn(
            f"How images were scaled to train the encoder '{model.name}' is not known, so they go "
            f"in unchanged, in [0, 1]. Pass preprocessing='unit' if that is right, else one of "
            f"{tuple(MODES)[1:]} or a Keras layer.",
            stacklevel=2,
        )
        return []
    if mode not in MODES:
        raise ValueError(
            f"`preprocessing` must be one of {tuple(MODES)} or a Keras layer. "
            f"Received: preprocessing={mode!r}."
        )
    if np.size(MODES[mode][1]) > 1 and channels != 3:
        raise ValueError(
            f"The preprocessing '{mode}' of the encoder '{model.name}' is for 3 channels. "
            f"Received: an encoder of {channels} channels. Pass e.g. preprocessing='unit', or a "
            f"`keras.layers.Rescaling` with {channels} scales and offsets."
        )
    return _layers(mode)


def preprocessed_shape(preprocessing, input_shape):
    """The shape `(height, width, channels)` of images after `preprocessing`.

    Layers may change it, such as from four bands to the three that an encoder takes.
    """
    if preprocessing is None or isinstance(preprocessing, str):
        return input_shape
    shape = (None, *input_shape)
    for layer in _copies(preprocessing):
        shape = layer.compute_output_shape(shape)
    return tuple(shape[1:])


def _layers(mode):
    scale, offset = (
        value.tolist() if isinstance(value, np.ndarray) else value for value in MODES[mode]
    )
    layers = []
    if mode == "caffe":
        layers.append(ReverseChannels(dtype="float32", name="reverse_channels"))
    if mode != "unit":
        # Before numbers are rounded to 16 bits: less a mean, they are rounded finer.
        layers.append(keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocessing"))
    return layers


def _copies(preprocessing):
    layers = list(preprocessing) if isinstance(preprocessing, (list, tuple)) else [preprocessing]
    for layer in layers:
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                f"`preprocessing` must be one of {tuple(MODES)} or a Keras layer. "
                f"Received: preprocessing={preprocessing!r}."
            )
    return [copy_layer(layer) for layer in layers]


def _mode_of_graph(model):
    """ "rgb255" or "unit" if the graph begins with the scaling of such images, else `None`."""
    for node in graph_nodes(model):
        layer = node.operation
        if isinstance(layer, keras.layers.Rescaling):
            of_unit_images = np.min(np.abs(layer.scale)) > SMALLEST_SCALE_OF_UNIT_IMAGES
        elif isinstance(layer, keras.layers.Normalization) and layer.mean is not None:
            of_unit_images = np.max(np.abs(ops.convert_to_numpy(layer.mean))) <= 1
        elif getattr(layer, "weights", ()):
            return None
        else:
            continue
        return "unit" if of_unit_images else "rgb255"
    return None


def _mode_of_name(name):
    return next((mode for names, mode in NAMES.items() if re.fullmatch(names, name)), None)
