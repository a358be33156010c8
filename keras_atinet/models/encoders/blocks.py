"""Where the blocks of an encoder end: the two features of each stride."""

from keras import layers

from keras_atinet.models.encoders.graph import nested_graph

NORMALIZATIONS = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.RMSNormalization,
    layers.UnitNormalization,
)
# What has nothing to say of its own, after a convolution or before one.
NO_FEATURES = (
    *NORMALIZATIONS,
    layers.AveragePooling2D,
    layers.Cropping2D,
    layers.Dropout,
    layers.MaxPooling2D,
    layers.SpatialDropout2D,
    layers.ZeroPadding2D,
)
# The same as operations of `keras.ops`, whose classes have no public names.
NO_FEATURES_OF_OPS = ("AveragePool", "GetItem", "LayerNorm", "MaxPool", "Pad", "RMSNorm")


def first_and_last(cuts, strides):
    """The first and the last feature of each stride.

    Args:
        cuts: list of nodes through which every path runs, of `cut_nodes`.
        strides: dict of `tensor_strides`.

    Returns:
        Dict from strides, ascending, to `(first, last)`, KerasTensors.
    """
    features, computed, deepest = {}, False, 0
    for index, node in enumerate(cuts):
        stride = strides.get(id(node.outputs[0]))
        # Images that are scaled are no features yet.
        computed = computed or _has_kernel(node.operation)
        if stride is None or not computed or stride < deepest or stride.bit_count() != 1:
            continue
        deepest = stride
        if _has_features(_last_layer(node.operation)):
            features.setdefault(stride, []).append(index)
    return {
        stride: (_first(cuts, indices, strides).outputs[0], cuts[indices[-1]].outputs[0])
        for stride, indices in features.items()
    }


def _first(cuts, indices, strides):
    """The first node that ends a block.

    That is where branches meet, if they do at this stride, with an activation that follows; else a
    convolution with the normalization and activation that follow, but not a depthwise one.
    """
    for index in indices:
        if _merges(cuts[index], strides):
            # A normalization that follows belongs to the next block; it is not in `indices`.
            follows = index + 1 in indices and _follows(cuts, index + 1)
            return cuts[index + 1 if follows else index]
    for index in indices:
        followed = index + 1 < len(cuts) and _follows(cuts, index + 1)
        if not followed and not _is_within_block(cuts, index):
            return cuts[index]
    return cuts[indices[-1]]


def _merges(node, strides):
    """Whether features of the node's own stride meet in it; a gate of one pixel has none."""
    inputs = {id(tensor) for tensor in node.input_tensors}
    stride = strides[id(node.outputs[0])]
    same = len(inputs) > 1 and all(strides.get(tensor) == stride for tensor in inputs)
    return same and not _is_gate(node.operation)


def _follows(cuts, index):
    """Whether a node is the normalization or the activation of the node before it alone."""
    before, node = cuts[index - 1], cuts[index]
    (output,) = before.outputs
    if {id(tensor) for tensor in node.input_tensors} != {id(output)}:
        return False
    normalizes = isinstance(node.operation, NORMALIZATIONS)
    return normalizes or (not _has_kernel(node.operation) and node.outputs[0].shape == output.shape)


def _is_within_block(cuts, index):
    """Whether a node is a depthwise convolution or a gate of channels: a projection is to come."""
    while index and _follows(cuts, index):
        index -= 1
    operation = cuts[index].operation
    return isinstance(operation, layers.DepthwiseConv2D) or _is_gate(operation)


def _is_gate(operation):
    # `keras.layers.Multiply` and `x * y`; of the same stride it is an activation, `x * sigmoid(x)`.
    return type(operation).__name__ == "Multiply"


def _last_layer(operation):
    nested = nested_graph(operation)
    return operation if nested is None else _last_layer(nested.layers[-1])


def _has_features(operation):
    of_ops = type(operation).__name__ in NO_FEATURES_OF_OPS
    return not (of_ops or isinstance(operation, NO_FEATURES))


def _has_kernel(operation):
    """Whether a layer can learn, other than what normalizes or scales its inputs."""
    weights = getattr(operation, "weights", ())
    return bool(weights) and not isinstance(operation, (*NORMALIZATIONS, layers.Normalization))
