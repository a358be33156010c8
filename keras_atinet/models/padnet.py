import functools

import keras

from keras_atinet.layers import MultiModalDistillation
from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.decoders.unet import unet
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import (
    DEFAULT_FILTERS,
    DEFAULT_INPUT_SHAPE,
    segnet_decoder,
    segnet_encoder,
)

ENCODER_DISTILLATION_STRIDE = 4


@keras.saving.register_keras_serializable(package="keras_atinet")
class PADNet(MultiTaskModel):
    """PAD-Net: a decoder per task, then distillation between their outputs.

    A shared encoder, one decoder per task, `MultiModalDistillation` over the decoders' outputs,
    heads. On SegNet the distillation is at full resolution.

    Args:
        tasks, input_shape, filters, dtype: as for `ATINet`.
        name: str. Defaults to `"padnet"`.
        encoder, **encoder_options: as for `ATINet`. The decoder of a task is then a `"unet"` as in
            `Split`.
        distillation_stride: optional int, with an `encoder`: the decoders end, and the tasks
            distil, at the finest level whose stride is at least this; 1 is the finest of all.
            Defaults to 4.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: as for `ATINet`, or if `distillation_stride` is given without an encoder or
            leaves fewer than two of its levels.

    Example:
        >>> model = keras_atinet.PADNet(tasks=("depth", "normal"), input_shape=(96, 128, 3))
        >>> model = keras_atinet.PADNet(encoder="efficientnet_lite0", distillation_stride=8)

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
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "PADNet", encoder
        )
        names = [task.name for task in tasks]

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        decode = _decoder(inputs, encoder, filters, distillation_stride, dtype)
        features = [decode(f"{name}_decoder") for name in names]
        refined = MultiModalDistillation(names, dtype=dtype, name="distillation")(features)
        features = dict(zip(names, refined, strict=True))
        image = inputs if encoder else None
        outputs = prediction_heads(features, tasks, filters, dtype=dtype, image=image)

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "encoder": encoder,
            "distillation_stride": distillation_stride,
        }
        super().__init__(inputs, outputs, tasks, config, refined, dtype=dtype, name=name)


def _decoder(image, encoder, filters, stride, dtype):
    """From the name of a decoder to the KerasTensor that it ends with."""
    if encoder is None:
        _check_no_stride(stride)
        _, _, argmaxes, x = segnet_encoder(image, filters, dtype=dtype)
        decode = functools.partial(segnet_decoder, x, argmaxes, filters, dtype=dtype)
    else:
        decode = functools.partial(unet, _levels_from(encoder(image), stride), filters, dtype=dtype)
    return lambda name: decode(name=name)[1][0]


def _check_no_stride(stride):
    if stride is not None:
        raise ValueError(
            "`distillation_stride` of `PADNet` is for networks with an `encoder`; on SegNet the "
            f"tasks distil at full resolution. Received: distillation_stride={stride!r}."
        )


def _levels_from(levels, stride):
    strides = [level.stride for level in levels]
    stride = min(ENCODER_DISTILLATION_STRIDE, strides[-2]) if stride is None else stride
    if isinstance(stride, bool) or not isinstance(stride, int) or not 1 <= stride <= strides[-2]:
        raise ValueError(
            "`distillation_stride` of `PADNet` must be an int that leaves a decoder at least two "
            f"levels of the encoder, whose strides are {strides}. "
            f"Received: distillation_stride={stride!r}. Use e.g. {strides[-2]}."
        )
    return [level for level in levels if level.stride >= stride]
