"""An encoder in stages, for networks that do something to its features between them."""

import keras

from keras_atinet.internals import graph_nodes, producer


class TaskEncoders(keras.layers.Layer):
    """The encoders of a network that has one for each task, as one layer.

    It computes nothing: the network's graph has their stages. It tells their weights, and to set
    `trainable` sets that of all.

    Args:
        models: list of functional `keras.Model`.
    """

    def __init__(self, models):
        super().__init__(name="encoder")
        self.models = models


def encoder_stages(model, strides, name, source, network):
    """The functional models that an encoder is made of, from one level's `q` to the next one's.

    Args:
        model: functional `keras.Model` from an image to `[p_1, q_1, p_2, q_2, ...]`.
        strides: list of ints, the strides of its levels.
        name: str, prefix of the stages' names.
        source, network: str, how errors name the encoder and the network.

    Returns:
        List of `keras.Model`, one for each level.

    Raises:
        ValueError: if a level does not follow from the `q` before it alone.
    """
    ends = model.outputs[1::2]
    starts = [model.inputs[0], *ends[:-1]]
    nodes = {id(x): node for node in graph_nodes(model) for x in node.outputs}
    stages = []
    for stride, start, end in zip(strides, starts, ends, strict=True):
        if not _follows(end, start, nodes):
            raise ValueError(
                f"`{network}` changes the features of each level before the encoder goes on, so "
                "all that comes after a level must be computed from its last feature alone. "
                f"Received: the encoder '{source}', whose feature '{producer(end).name}' (stride "
                f"{stride}) does not follow from '{producer(start).name}' alone. Name other "
                "features by `encoder_features={stride: name}`, or take a convolutional encoder."
            )
        stages.append(keras.Model(start, end, name=f"{name}_stride_{stride}"))
    return stages


def _follows(end, start, nodes):
    """Whether a tensor of a graph is computed from another one, and from nothing beside it."""
    tensors, seen = [end], {id(start)}
    while tensors:
        tensor = tensors.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if id(tensor) not in nodes:  # an input
            return False
        tensors.extend(nodes[id(tensor)].input_tensors)
    return end is not start
