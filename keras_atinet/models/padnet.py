import functools

import keras

from keras_atinet.layers import MultiModalDistillation
from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.auxiliary import standardize_auxiliary
from keras_atinet.models.decoders.unet import unet
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.feature_pyramid import at_finest_size, feature_pyramid, levels_from
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.initial_predictions import final_predictions, initial_predictions
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import (
    DEFAULT_FILTERS,
    DEFAULT_INPUT_SHAPE,
    segnet_decoder,
    segnet_encoder,
)


@keras.saving.register_keras_serializable(package="keras_atinet")
class PADNet(MultiTaskModel):
    """PAD-Net: features of each task, then distillation between them.

    As ATI-Net's authors compare with it, it has a shared encoder, one decoder per task,
    `MultiModalDistillation` over the decoders' outputs, and heads. On SegNet the distillation is at
    full resolution.

    With `supervised=True` it is as first published. From the levels of the encoder at strides 4 to
    32, resized to the finest and side by side, each task has features `F = block(block(x))`, two
    `BottleneckBlock`s, and from them an initial prediction, `conv1x1(F)`. The features F are
    distilled; two more blocks and a 1x1 convolution give the prediction. The loss is that of the
    prediction + `auxiliary_weight` times that of the initial one.

    Args:
        tasks, input_shape, filters, dtype: as for `ATINet`.
        name: str. Defaults to `"padnet"`.
        encoder, **encoder_options: as for `ATINet`. The decoder of a task, if it has one, is then a
            `"unet"` as in `Split`.
        distillation_stride: optional int, with an `encoder` or `supervised`: the tasks distil at
            the finest level whose stride is at least this; 1 is the finest of all. Defaults to 4.
        supervised: bool, whether the tasks make initial predictions. Defaults to `False`.
        gate: what lets a message pass, see `MultiModalDistillation`: the features of its
            `"sender"`, as in public code, or, after the paper, of its `"receiver"`. Defaults to
            `"sender"`.
        auxiliary_tasks: optional tasks, as `tasks`, that make initial predictions only: the others
            learn from their features, and they are not predicted. `fit` needs their targets. With
            `supervised` only. Defaults to none.
        auxiliary_weight: float, what the losses of initial predictions are multiplied by. Defaults
            to 1.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: as for `ATINet`, or if `distillation_stride` has no meaning or leaves fewer than
            two levels of the encoder, `auxiliary_tasks` or `auxiliary_weight` are given without
            `supervised`, some of them are among the `tasks`, or there is no such `gate`.

    Example:
        >>> model = keras_atinet.PADNet(tasks=("depth", "normal"), input_shape=(96, 128, 3))
        >>> model = keras_atinet.PADNet(encoder="efficientnet_lite0", distillation_stride=8)
        >>> model = keras_atinet.PADNet("segmentation", supervised=True, auxiliary_tasks="depth")

    Reference: Xu et al., "PAD-Net", CVPR 2018; with a SegNet backbone as in ATI-Net, section IV.D.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="padnet",
        encoder=None,
        distillation_stride=None,
        supervised=False,
        gate="sender",
        auxiliary_tasks=(),
        auxiliary_weight=1.0,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "PADNet", encoder
        )
        if not supervised and (auxiliary_tasks or auxiliary_weight != 1):
            raise ValueError(
                "`auxiliary_tasks` and `auxiliary_weight` of `PADNet` are for initial predictions, "
                "which no task makes without `supervised=True`. "
                f"Received: auxiliary_tasks={auxiliary_tasks!r}, "
                f"auxiliary_weight={auxiliary_weight!r}."
            )
        auxiliary_tasks = standardize_auxiliary(tasks, auxiliary_tasks, auxiliary_weight, "PADNet")
        names = [task.name for task in tasks]
        all_tasks = [*tasks, *auxiliary_tasks]

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        distil = MultiModalDistillation(
            [task.name for task in all_tasks], names, gate, dtype=dtype, name="distillation"
        )
        if supervised:
            levels = feature_pyramid(inputs, encoder, filters, distillation_stride, dtype)
            shared = [level.last for level in levels]
            features, auxiliary = initial_predictions(
                at_finest_size(levels, dtype), all_tasks, filters, inputs, dtype
            )
            refined = dict(zip(names, distil(list(features.values())), strict=True))
            outputs = final_predictions(refined, tasks, 4 * filters[0], inputs, dtype)
        else:
            decode = _decoder(inputs, encoder, filters, distillation_stride, dtype)
            shared, auxiliary = distil([decode(f"{name}_decoder") for name in names]), {}
            refined = dict(zip(names, shared, strict=True))
            image = inputs if encoder else None
            outputs = prediction_heads(refined, tasks, filters, dtype=dtype, image=image)

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "encoder": encoder,
            "distillation_stride": distillation_stride,
            "supervised": supervised,
            "gate": gate,
        }
        super().__init__(
            inputs,
            outputs,
            tasks,
            config,
            shared,
            dtype=dtype,
            name=name,
            auxiliary=auxiliary,
            auxiliary_weight=auxiliary_weight,
            auxiliary_tasks=auxiliary_tasks,
        )


def _decoder(image, encoder, filters, stride, dtype):
    """From the name of a decoder to the KerasTensor that it ends with."""
    if encoder is None:
        _check_no_stride(stride)
        _, _, argmaxes, x = segnet_encoder(image, filters, dtype=dtype)
        decode = functools.partial(segnet_decoder, x, argmaxes, filters, dtype=dtype)
    else:
        levels = levels_from(encoder(image), stride, "PADNet")
        decode = functools.partial(unet, levels, filters, dtype=dtype)
    return lambda name: decode(name=name)[1][0]


def _check_no_stride(stride):
    if stride is not None:
        raise ValueError(
            "`distillation_stride` of `PADNet` is for networks with an `encoder` or "
            "`supervised=True`; else the tasks of a SegNet distil at full resolution. "
            f"Received: distillation_stride={stride!r}."
        )
