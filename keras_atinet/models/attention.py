"""The task attention of MTAN: masks down the encoder and up the decoder, as functions."""

import keras

from keras_atinet.internals import branch_order
from keras_atinet.layers import AttentionMask, ConvBlock, MaxPooling2D


def attention_encoder(network, tasks, dtype=None):
    """For each task, down the encoder, with `p_j` and `q_j` of its level j:

    `a_1 = mask(p_1) q_1`, `a_j = mask([p_j, e_{j-1}]) q_j`, `e_j = maxpool(ConvBlock_j(a_j))`.

    The masks belong to the task, the ConvBlocks are shared by all tasks. `ConvBlock_j` has the
    width of level j + 1. The deepest level of an encoder other than SegNet does not pool.

    Args:
        network: an `attended_network`.
        tasks: list of `Task`.
        dtype: dtype policy of the layers.

    Returns:
        Dict task name -> KerasTensor of the size and width of the bottleneck; and the segments, a
        list of `(inputs, e_j)` with all that `e_j` is computed from.
    """
    widths = [q.shape[-1] for q in [*network.last[1:], network.last[-1]]]
    blocks = [
        ConvBlock(width, dtype=dtype, name=f"attention_encoder_{label}")
        for label, width in zip(network.labels, widths, strict=True)
    ]
    levels = list(zip(network.labels, network.first, network.last, blocks, strict=True))
    outputs, segments = {}, {task.name: [] for task in tasks}
    for task in tasks:
        x = None
        for label, p, q, block in levels:
            name = f"{task.name}_encoder_{label}"
            inputs = [p, q] if x is None else [p, q, x]
            read = p if x is None else [p, network.down(x, q, name)]
            x = block(_attend(read, q, dtype, name))
            if label in network.pooled_labels:
                x = MaxPooling2D(dtype=dtype, name=f"{name}_pool")(x)
            segments[task.name].append((inputs, x))
        outputs[task.name] = x
    return outputs, _in_order(segments)


def attention_decoder(features, network, upsampled, decoded, tasks, dtype=None):
    """For each task, up the decoder, with `u_j` and `d_j` of its level j:

    `g_j = ConvBlock'_j(bilinear resize of the task's previous output)`,
    `b_j = mask([u_j, g_j]) d_j`.

    Args:
        features: dict task name -> KerasTensor, from `attention_encoder`.
        network: an `attended_network`.
        upsampled, decoded: lists from its `decoder`.
        tasks: list of `Task`.
        dtype: dtype policy of the layers.

    Returns:
        Dict task name -> KerasTensor of the shape of the finest `d_j`; and the segments, a list of
        `(inputs, b_j)` with all that `b_j` is computed from.
    """
    labels = network.labels[: len(decoded)]
    blocks = [
        ConvBlock(d.shape[-1], dtype=dtype, name=f"attention_decoder_{label}")
        for label, d in zip(labels, decoded, strict=True)
    ]
    levels = list(zip(labels, upsampled, decoded, blocks, strict=True))
    outputs, segments = {}, {task.name: [] for task in tasks}
    for task in tasks:
        x = features[task.name]
        for label, u, d, block in reversed(levels):
            name = f"{task.name}_decoder_{label}"
            inputs = [*u, d, x]
            x = block(network.up(x, d, name))
            x = _attend([*u, x], d, dtype, name)
            segments[task.name].append((inputs, x))
        outputs[task.name] = x
    return outputs, _in_order(segments)


def _in_order(segments):
    # The moving averages of what the tasks share depend a little on the order.
    return [segment for name in branch_order(segments) for segment in segments[name]]


def _attend(x, feature, dtype, name):
    mask = AttentionMask(feature.shape[-1], dtype=dtype, name=f"{name}_mask")(x)
    return keras.layers.Multiply(dtype=dtype, name=f"{name}_attended")([mask, feature])
