"""What tf2onnx gets wrong in ONNX files, put right."""

import numpy as np


def repair(path):
    """Makes an ONNX file one that runtimes read, with the sizes that the network has."""
    import onnx

    model = onnx.load(path)
    _round_scales_up(model.graph)
    _replace_erfc(model.graph)
    onnx.save(model, path)


def _round_scales_up(graph):
    """Makes the factors of resizings give the sizes that they stand for.

    tf2onnx writes a factor, target / size in float32, where sizes are known, and runtimes take
    `floor(size * factor)`: `floor(3 * 1.6666666)` is 4, not 5. The next float32 above is large
    enough, and not too large.
    """
    from onnx import numpy_helper

    names = {node.input[2] for node in graph.node if node.op_type == "Resize"}
    for tensor in graph.initializer:
        if tensor.name in names:
            scales = numpy_helper.to_array(tensor)
            above = np.nextafter(scales, np.float32(np.inf))
            scales = np.where(scales == np.round(scales), scales, above)
            tensor.CopyFrom(numpy_helper.from_array(scales, tensor.name))


def _replace_erfc(graph):
    """Writes `1 - erf(x)` for the `erfc(x)` of a GELU, which ONNX does not have."""
    from onnx import helper, numpy_helper

    nodes = list(graph.node)
    if all(node.op_type != "Erfc" for node in nodes):
        return
    graph.initializer.append(numpy_helper.from_array(np.float32(1), "one_of_erfc"))
    del graph.node[:]
    for node in nodes:
        if node.op_type != "Erfc":
            graph.node.append(node)
            continue
        erf = f"{node.output[0]}_erf"
        graph.node.append(helper.make_node("Erf", node.input, [erf]))
        graph.node.append(helper.make_node("Sub", ["one_of_erfc", erf], node.output))
