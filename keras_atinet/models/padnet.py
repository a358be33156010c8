import keras

from keras_atinet.layers import MultiModalDistillation
from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import (
    DEFAULT_FILTERS,
    DEFAULT_INPUT_SHAPE,
    segnet_decoder,
    segnet_encoder,
)


@keras.saving.register_keras_serializable(package="keras_atinet")
class PADNet(MultiTaskModel):
    """PAD-Net on SegNet: a decoder per task, then distillation at full resolution.

    A shared SegNet encoder, one SegNet decoder per task, `MultiModalDistillation` over the
    decoders' outputs, heads.

    Args:
        tasks, input_shape, filters, dtype: as for `ATINet`.
        name: str. Defaults to `"padnet"`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: if a size is not divisible by 32, a task unknown, `filters` not five ints.

    Example:
        >>> model = keras_atinet.PADNet(tasks=("depth", "normal"), input_shape=(96, 128, 3))

    Reference: Xu et al., "PAD-Net", CVPR 2018; with a SegNet backbone as in ATI-Net, section IV.D.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="padnet",
    ):
        tasks, input_shape, filters = standardize_arguments(tasks, input_shape, filters, "PADNet")
        names = [task.name for task in tasks]

        inputs = keras.Input(input_shape, name="image")
        _, _, argmaxes, bottleneck = segnet_encoder(inputs, filters, dtype=dtype)
        features = [
            segnet_decoder(bottleneck, argmaxes, filters, dtype=dtype, name=f"{name}_decoder")[1][0]
            for name in names
        ]
        refined = MultiModalDistillation(names, dtype=dtype, name="distillation")(features)
        features = dict(zip(names, refined, strict=True))
        outputs = prediction_heads(features, tasks, filters, dtype=dtype)

        config = {"input_shape": input_shape, "filters": filters}
        super().__init__(inputs, outputs, tasks, config, refined, dtype=dtype, name=name)
