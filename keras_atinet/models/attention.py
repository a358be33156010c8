"""The task attention of MTAN: masks down the encoder and up the decoder, as functions."""

import keras

from keras_atinet.internals import branch_order
from keras_atinet.layers import AttentionMask, BilinearUpSampling2D, ConvBlock, MaxPooling2D
from keras_atinet.models.segnet import decoder_width

LEVELS = range(1, 6)


def attention_encoder(first, last, tasks, filters, dtype=None):
    """For each task, down the encoder, with `p_j` and `q_j` of the SegNet encoder:

    `a_1 = mask(p_1) q_1`, `a_j = mask([p_j, e_{j-1}]) q_j`, `e_j = maxpool(ConvBlock_j(a_j))`.

    The masks belong to the task, the ConvBlocks are shared by all tasks.

    Args:
        first, last: lists of KerasTensors, level 1 to 5.
        tasks: list of `Task`.
        filters: five ints, the width of each level.
        dtype: dtype policy of the layers.

    Returns:
        Dict task name -> KerasTensor `(batch, height / 32, width / 32, filters[4])`; and the
        segments, a list of `(inputs, e_j)` with all that `e_j` is computed from.
    """
    widths = [*filters[1:], filters[-1]]
    blocks = [
        ConvBlock(width, dtype=dtype, name=f"attention_encoder_{level}")
        for level, width in zip(LEVELS, widths, strict=True)
    ]
    outputs, segments = {}, {task.name: [] for task in tasks}
    for task in tasks:
        x = None
        for level, p, q, block in zip(LEVELS, first, last, blocks, strict=True):
            name = f"{task.name}_encoder_{level}"
            inputs = [p, q] if x is None else [p, q, x]
            x = _attend(p if x is None else [p, x], q, dtype, name)
            x = MaxPooling2D(dtype=dtype, name=f"{name}_pool")(block(x))
            segments[task.name].append((inputs, x))
        outputs[task.name] = x
    return outputs, _in_order(segments)


def attention_decoder(features, unpooled, decoded, tasks, filters, dtype=None):
    """For each task, up the decoder, with `u_j` and `d_j` of the SegNet decoder:

    `g_j = ConvBlock'_j(bilinear 2x of the task's previous output)`, `b_j = mask([u_j, g_j]) d_j`.

    Args:
        features: dict task name -> KerasTensor, from `attention_encoder`.
        unpooled, decoded: lists of KerasTensors, level 1 to 5.
        tasks: list of `Task`.
        filters: five ints, the width of each level.
        dtype: dtype policy of the layers.

    Returns:
        Dict task name -> KerasTensor `(batch, height, width, filters[0])`; and the segments, a list
        of `(inputs, b_j)` with all that `b_j` is computed from.
    """
    blocks = [
        ConvBlock(decoder_width(filters, level), dtype=dtype, name=f"attention_decoder_{level}")
        for level in LEVELS
    ]
    outputs, segments = {}, {task.name: [] for task in tasks}
    for task in tasks:
        x = features[task.name]
        for level in reversed(LEVELS):
            name = f"{task.name}_decoder_{level}"
            inputs = [unpooled[level - 1], decoded[level - 1], x]
            x = BilinearUpSampling2D(dtype=dtype, name=f"{name}_upsample")(x)
            x = blocks[level - 1](x)
            x = _attend([unpooled[level - 1], x], decoded[level - 1], dtype, name)
            segments[task.name].append((inputs, x))
        outputs[task.name] = x
    return outputs, _in_order(segments)


def _in_order(segments):
    # The moving averages of what the tasks share depend a little on the order.
    return [segment for name in branch_order(segments) for segment in segments[name]]


def _attend(x, feature, dtype, name):
    mask = AttentionMask(feature.shape[-1], dtype=dtype, name=f"{name}_mask")(x)
    return keras.layers.Multiply(dtype=dtype, name=f"{name}_attended")([mask, feature])
