"""Which tensors of an encoder a network takes: two for each stride."""

import dataclasses
import difflib
import math

import keras

from keras_atinet.internals import graph_nodes, producer
from keras_atinet.models.encoders.blocks import first_and_last
from keras_atinet.models.encoders.graph import (
    built_stride,
    cut_nodes,
    nested_graph,
    tensor_strides,
)
from keras_atinet.models.encoders.inverted_residuals import block_outputs
from keras_atinet.models.encoders.token_pyramid import has_tokens, token_pyramid


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Level:
    """The features of an encoder at one stride.

    Args:
        stride: int, pixels of the image for one of the feature.
        first: KerasTensor `(batch, height, width, channels)`, `p`, the output of the first block.
        last: KerasTensor, `q`, the output of the last block before the next stride; may be
            `first`.
    """

    stride: int
    first: keras.KerasTensor
    last: keras.KerasTensor

    @property
    def names(self):
        """Names of the operations that compute `first` and `last`."""
        return producer(self.first).name, producer(self.last).name

    def __repr__(self):
        features = [
            f"{name} ({tensor.shape[-1]} channels)"
            for name, tensor in zip(self.names, (self.first, self.last), strict=True)
        ]
        return f"stride {self.stride}: {' ... '.join(dict.fromkeys(features))}"


def encoder_levels(model, encoder_features=None):
    """Finds the features that a network takes from an encoder.

    At each stride these are `p`, the output of its first block, and `q`, of its last. In this
    order they come from `encoder_features`; from `model.pyramid_outputs`, as keras-hub's backbones
    have it, or the blocks of an encoder built here; from the graph: `q` is the last tensor of a
    stride through which every path from the image to the output runs and that is no padding,
    pooling or normalization, `p` the first such tensor that ends a block. A stride that the encoder
    lacks is left out.

    Args:
        model: functional `keras.Model` with one input `(height, width, channels)`; or a network of
            this package, which tells what it was built on.
        encoder_features: dict that replaces what would be found, from strides to the name of an
            operation of the model, or to two names, of `p` and of `q`.

    Returns:
        List of `Level`, finest first.

    Raises:
        ValueError: if the model is not functional or has several inputs, if there are fewer than
            two levels, or if `encoder_features` names what the model does not have.

    Example:
        >>> model = keras.applications.ResNet50(include_top=False, weights=None)
        >>> for level in keras_atinet.encoder_levels(model):
        ...     print(level)
        stride 2: conv1_relu (64 channels)
        stride 4: conv2_block1_out (256 channels) ... conv2_block3_out (256 channels)
        stride 8: conv3_block1_out (512 channels) ... conv3_block4_out (512 channels)
        stride 16: conv4_block1_out (1024 channels) ... conv4_block6_out (1024 channels)
        stride 32: conv5_block1_out (2048 channels) ... conv5_block3_out (2048 channels)
    """
    of_network = getattr(model, "encoder_levels", None)
    if of_network is not None:
        return of_network
    pyramid = getattr(model, "pyramid_outputs", None)
    model = functional_encoder(model)
    pyramid = pyramid or block_outputs(model)
    if encoder_features is not None:
        levels = _named_levels(model, encoder_features)
    elif has_tokens(model):
        levels = [Level(stride, x, x) for stride, x in token_pyramid(model).items()]
    else:
        found = first_and_last(cut_nodes(model), tensor_strides(model))
        levels = [Level(stride, *found[stride]) for stride in found]
        if pyramid:
            levels = _pyramid_levels(model, pyramid, levels)
    if len(levels) < 2:
        raise ValueError(_too_few(model, levels, encoder_features))
    return sorted(levels, key=lambda level: level.stride)


def functional_encoder(model):
    """The functional model of an encoder: itself, or of a `keras.Sequential`.

    Raises:
        ValueError: if it is none, or does not take one image.
    """
    received = f"Received: {model!r}."
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"An encoder is a functional `keras.Model`, or a name. {received} "
            "Take a model of `keras.applications` or of `keras_hub`, or make one by "
            "`keras.Model(inputs, outputs)`."
        )
    functional = nested_graph(model)
    if functional is None:
        raise ValueError(
            "An encoder is a functional `keras.Model`, whose graph tells where its features are. "
            f"{received} Make one of a subclassed model by `image = keras.Input((None, None, 3)); "
            "keras.Model(image, outputs)`, where `outputs` are computed from `image` by its layers."
        )
    shapes = [tensor.shape for tensor in functional.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] is None:
        raise ValueError(
            "An encoder takes one image, `(batch, height, width, channels)`, with a known number "
            f"of channels. Received: '{model.name}' with inputs of shapes {shapes}."
        )
    return functional


def _pyramid_levels(model, pyramid, found):
    """Levels of `pyramid_outputs` or `block_outputs`, and the finer ones of the walk."""
    found, probed, last = {level.stride: level for level in found}, tensor_strides(model), {}
    for tensor in pyramid.values():
        # Keys are no strides: some backbones call their stride 4 "P1".
        stride = built_stride(model.inputs[0].shape, tensor.shape) or probed.get(id(tensor))
        if stride:
            last[stride] = tensor
    finest = min(last, default=math.inf)
    levels = [level for stride, level in found.items() if stride < finest]
    outputs = [id(tensor) for node in graph_nodes(model) for tensor in node.outputs]
    for stride, tensor in last.items():
        first = found[stride].first if stride in found else tensor
        if outputs.index(id(first)) > outputs.index(id(tensor)):
            first = tensor
        levels.append(Level(stride, first, tensor))
    return levels


def _named_levels(model, features):
    wrong = not isinstance(features, dict) or [
        stride for stride in features if not isinstance(stride, int) or stride.bit_count() != 1
    ]
    if wrong:
        raise ValueError(
            "`encoder_features` is a dict from strides, which are powers of two, to the name of "
            f"an operation or to two names. Received: encoder_features={features}."
        )
    levels, strides = [], tensor_strides(model)
    for stride, names in features.items():
        names = (names, names) if isinstance(names, str) else names
        if not isinstance(names, (list, tuple)) or len(names) != 2:
            raise ValueError(
                "`encoder_features` has one name for each stride, or two, of the first and of the "
                f"last feature. Received: {names} for stride {stride}."
            )
        tensors = [_feature(model, name) for name in names]
        for name, tensor in zip(names, tensors, strict=True):
            actual = strides.get(id(tensor))
            if actual != stride:
                has = f"stride {actual}" if actual else f"no stride, with shape {tensor.shape}"
                raise ValueError(
                    f"`encoder_features` has '{name}' for stride {stride}, but it has {has} in "
                    f"'{model.name}'. `keras_atinet.encoder_levels(model)` finds levels by itself."
                )
        levels.append(Level(stride, *tensors))
    return levels


def _feature(model, name):
    operations = {operation.name: operation for operation in model.operations}
    if name not in operations:
        nested = [
            other.name
            for other in map(nested_graph, model.operations)
            if other is not None and name in {operation.name for operation in other.operations}
        ]
        near = difflib.get_close_matches(str(name), operations, 5) or list(operations)[-5:]
        way_out = (
            f"It is within its layer '{nested[0]}': give that one as the encoder."
            if nested
            else f"It has {near}, among {len(operations)} (`model.summary()` lists layers)."
        )
        raise ValueError(
            f"`encoder_features` names '{name}', which '{model.name}' does not have. {way_out}"
        )
    outputs = operations[name].output
    if not isinstance(outputs, keras.KerasTensor):
        raise ValueError(
            f"`encoder_features` names '{name}', which has several outputs. Received: outputs of "
            f"shapes {[tensor.shape for tensor in keras.tree.flatten(outputs)]}. Name an operation "
            "with one."
        )
    return outputs


def _too_few(model, levels, features):
    if features is not None:
        return (
            f"`encoder_features` needs at least two strides. Received: encoder_features={features}."
        )
    outputs = [tensor.shape for tensor in model.outputs]
    message = (
        f"An encoder needs features `(batch, height, width, channels)` at two strides or more. "
        f"Received: '{model.name}', where {levels or 'none'} was found; outputs of shapes "
        f"{outputs}. "
    )
    nested = [layer.name for layer in model.layers if nested_graph(layer) is not None]
    if nested:
        return message + (
            f"Features within its layers {nested} are not seen: give that model itself as the "
            "encoder (`model.get_layer(...)`), and layers before it as `preprocessing=`."
        )
    return message + (
        "Name features by `encoder_features={stride: name}`, or take an encoder of another kind."
    )
