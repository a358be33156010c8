"""Copies of layers, with weights of their own."""

import keras

from keras_atinet.internals import sublayers


def copy_layer(layer, **changes):
    """A layer of the same class, config and weights, built as that one is.

    Args:
        layer: `keras.layers.Layer`, or another operation of a graph, which has no weights.
        changes: what its config is to have instead.
    """
    copy = type(layer).from_config({**layer.get_config(), **changes})
    if getattr(layer, "weights", ()):
        copy.build_from_config(layer.get_build_config())
        copy_weights(layer, copy)
    return copy


def copy_weights(layer, copy):
    """Gives a layer's weights to a built layer of the same class and config.

    As from a file, because for some layers weights alone are not all: `Normalization` computes its
    mean anew, and DINOv2 interpolates its position embeddings for another image size.
    """
    weights = {}
    layer.save_own_variables(weights)
    if weights:
        # As arrays: on JAX a step gives away the memory of its weights, shared ones too.
        copy.load_own_variables(
            {key: keras.ops.convert_to_numpy(value) for key, value in weights.items()}
        )
    for inner, inner_copy in zip(sublayers(layer), sublayers(copy), strict=True):
        copy_weights(inner, inner_copy)
