"""What the graph of a functional model tells: each tensor's stride, and where all paths meet."""

import math

import keras

from keras_atinet.internals import graph_nodes, is_functional, output_specs

PROBE_SIZES = 256, 512


def tensor_strides(model):
    """Strides of the tensors of a functional model's graph.

    Two sizes are sent through the graph, by shapes alone: `stride = 256 / (n_512 - n_256)`. So
    neither 'valid' padding nor what is pooled to one pixel does harm. Where a layer takes one
    size only (`Reshape`), the shapes that the model was built with have to do.

    Returns:
        Dict from `id(tensor)` to an int; tensors without height and width, or with a stride that
        differs between them or is no whole number, are left out.
    """
    channels = model.inputs[0].shape[-1]
    small, large = (
        _probe(model, [keras.KerasTensor((1, size, size, channels), model.inputs[0].dtype)])
        for size in PROBE_SIZES
    )
    strides = {}
    for tensor in [*model.inputs, *(x for node in graph_nodes(model) for x in node.outputs)]:
        key = id(tensor)
        if key in small and key in large:
            stride = _probed_stride(small[key].shape, large[key].shape)
        else:
            stride = built_stride(model.inputs[0].shape, tensor.shape)
        if stride:
            strides[key] = stride
    return strides


def takes_size(model, height, width):
    """Whether a functional model's graph allows images of a size, by shapes alone."""
    image = model.inputs[0]
    known = _probe(model, [keras.KerasTensor((1, height, width, image.shape[-1]), image.dtype)])
    return all(id(tensor) in known for tensor in model.outputs)


def cut_nodes(model):
    """The nodes of a graph through which every path from the input to the output runs, in order.

    In the order of computation, nothing that is computed before such a node is used after it. Of
    several outputs, the one that is computed last counts.
    """
    nodes = graph_nodes(model)
    outputs = {id(tensor) for tensor in model.outputs}
    while nodes and not any(id(tensor) in outputs for tensor in nodes[-1].outputs):
        nodes.pop()
    used, path = set(), []
    for node in reversed(nodes):
        if not path or any(id(tensor) in used for tensor in node.outputs):
            path.append(node)
            used.update(id(tensor) for tensor in node.input_tensors)
    path.reverse()

    last_use = {}
    for index, node in enumerate(path):
        last_use.update((id(tensor), index) for tensor in node.input_tensors)
    cuts, needed_until = [], last_use.get(id(model.inputs[0]), 0)
    for index, node in enumerate(path):
        if needed_until <= index and len(node.outputs) == 1:
            cuts.append(node)
        uses = (last_use.get(id(tensor), index) for tensor in node.outputs)
        needed_until = max(needed_until, *uses)
    return cuts


def nested_graph(operation):
    """The graph of a model within a model, as a functional model; `None` for all else."""
    if not is_functional(operation):
        return None
    if isinstance(operation, keras.Sequential):
        return keras.Model(operation.inputs, operation.outputs)
    return operation


def _probe(model, inputs):
    """Dict from `id(tensor)` to what it is at other sizes, as far as the graph allows them."""
    specs = {id(tensor): spec for tensor, spec in zip(model.inputs, inputs, strict=True)}
    for node in graph_nodes(model):
        if any(id(tensor) not in specs for tensor in node.input_tensors):
            continue
        nested = nested_graph(node.operation)
        if nested is None:
            try:
                outputs = output_specs(node, specs)
            except Exception:
                # A layer of any kind that is made for one size; errors are as many as layers.
                continue
        else:
            inner = _probe(nested, [specs[id(tensor)] for tensor in node.input_tensors])
            outputs = [inner.get(id(tensor)) for tensor in nested.outputs]
        pairs = zip(node.outputs, outputs, strict=True)
        specs.update((id(tensor), spec) for tensor, spec in pairs if spec is not None)
    return specs


def _probed_stride(small, large):
    if len(small) != 4 or None in small[1:3] + large[1:3]:
        return None
    height, width = large[1] - small[1], large[2] - small[2]
    step = PROBE_SIZES[1] - PROBE_SIZES[0]
    return step // height if height == width and height and step % height == 0 else None


def built_stride(image, feature):
    """The stride of a feature by the sizes that a model was built for; `None` where it has none.

    Sizes that strides do not divide are rounded up or down, so the nearest power of two counts.
    """
    if len(feature) != 4 or None in image[1:3] + feature[1:3] or 0 in feature[1:3]:
        return None
    ratios = (a / b for a, b in zip(image[1:3], feature[1:3], strict=True))
    height, width = (round(math.log2(ratio)) for ratio in ratios)
    return 2**height if height == width and height >= 0 else None
