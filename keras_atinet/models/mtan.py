import keras

from keras_atinet.models.arguments import check_remat, standardize_arguments
from keras_atinet.models.attention import attention_decoder, attention_encoder
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import (
    DEFAULT_FILTERS,
    DEFAULT_INPUT_SHAPE,
    segnet_decoder,
    segnet_encoder,
)


@keras.saving.register_keras_serializable(package="keras_atinet")
class MTAN(MultiTaskModel):
    """Multi-Task Attention Network: ATI-Net without distillation.

    A SegNet encoder and decoder shared by all tasks, attention masks and a head per task.

    Args:
        tasks, input_shape, filters, dtype, remat: as for `ATINet`.
        name: str. Defaults to `"mtan"`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: if a size is not divisible by 32, a task unknown, `filters` not five ints.

    Example:
        >>> model = keras_atinet.MTAN(tasks=("segmentation", "depth"), input_shape=(96, 128, 3))

    Reference: Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="mtan",
        remat=None,
    ):
        tasks, input_shape, filters = standardize_arguments(tasks, input_shape, filters, "MTAN")
        check_remat(remat, "MTAN")

        inputs = keras.Input(input_shape, name="image")
        first, last, argmaxes, bottleneck = segnet_encoder(inputs, filters, dtype=dtype)
        features, down = attention_encoder(first, last, tasks, filters, dtype=dtype)
        unpooled, decoded = segnet_decoder(bottleneck, argmaxes, filters, dtype=dtype)
        shared = [*first, *last, *unpooled, *decoded]
        features, up = attention_decoder(features, unpooled, decoded, tasks, filters, dtype=dtype)
        outputs = prediction_heads(features, tasks, filters, dtype=dtype)

        config = {"input_shape": input_shape, "filters": filters, "remat": remat}
        segments = [*down, *up] if remat == "attention" else []
        super().__init__(inputs, outputs, tasks, config, shared, segments, dtype=dtype, name=name)
