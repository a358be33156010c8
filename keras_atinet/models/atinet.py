import keras

from keras_atinet.layers import AttentionMask, ConvBlock, PredictionHead, TaskDistillation
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
from keras_atinet.training import PhaseSwitch


@keras.saving.register_keras_serializable(package="keras_atinet")
class ATINet(MultiTaskModel):
    """Attentive Task Interaction Network.

    A SegNet encoder and decoder shared by all tasks; between them the tasks distil the bottleneck
    with each other (`TaskDistillation`); beside them each task picks its features with attention
    masks; a head per task. It trains in two phases, see `PhaseSwitch`: `fit` adds that callback
    where the user gave none and the distillation is off.

    Args:
        tasks: one name, a `Task`, a sequence of names and `Task` objects, or a dict
            name -> channels. Defaults to `("segmentation", "depth", "normal")`.
        input_shape: `(height, width, channels)`, height and width divisible by 32.
            Defaults to `(288, 384, 3)`.
        filters: five ints, the width of each level. Defaults to `(64, 128, 256, 512, 512)`.
        dtype: optional dtype policy, e.g. `"mixed_bfloat16"`. Defaults to the global policy.
        name: str. Defaults to `"atinet"`.
        remat: optional `"attention"`: training keeps no activations within the attention modules
            and computes them again on the way back. Up to 40 % less memory, the same numbers and
            weights. Defaults to `None`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: if a size is not divisible by 32, a task unknown, `filters` not five ints.

    Example:
        >>> model = keras_atinet.ATINet(tasks=("segmentation", "depth", "normal"))
        >>> model.compile(keras.optimizers.Adam(1e-4), balancer="dwa")
        >>> model.fit(train, validation_data=test, epochs=200)

    Reference: Sinodinos and Armanfard, "Attentive Task Interaction Network for Multi-Task
    Learning", ICPR 2022.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="atinet",
        remat=None,
    ):
        tasks, input_shape, filters = standardize_arguments(tasks, input_shape, filters, "ATINet")
        check_remat(remat, "ATINet")
        names = [task.name for task in tasks]

        inputs = keras.Input(input_shape, name="image")
        first, last, argmaxes, bottleneck = segnet_encoder(inputs, filters, dtype=dtype)
        features, down = attention_encoder(first, last, tasks, filters, dtype=dtype)
        distilled = TaskDistillation(names, filters[2::-1], dtype=dtype, name="distillation")(
            bottleneck
        )
        unpooled, decoded = segnet_decoder(distilled, argmaxes, filters, dtype=dtype)
        shared = [*first, *last, *unpooled, *decoded]
        features, up = attention_decoder(features, unpooled, decoded, tasks, filters, dtype=dtype)
        outputs = prediction_heads(features, tasks, filters, dtype=dtype)

        config = {"input_shape": input_shape, "filters": filters, "remat": remat}
        pieces = [*down, *up] if remat == "attention" else []
        super().__init__(inputs, outputs, tasks, config, shared, pieces, dtype=dtype, name=name)

    @property
    def distillation_active(self):
        """Bool, whether the decoder reads the distilled bottleneck (phase 2). Can be set."""
        return bool(keras.ops.convert_to_numpy(self.get_layer("distillation").active))

    @distillation_active.setter
    def distillation_active(self, active):
        self.get_layer("distillation").active.assign(bool(active))

    def module_layers(self, kind):
        """The layers that `PhaseSwitch(reset=kind)` reinitialises.

        Args:
            kind: `"attention"` (masks and their shared ConvBlocks) or `"heads"`.
        """
        if kind == "heads":
            return [layer for layer in self.layers if isinstance(layer, PredictionHead)]
        return [
            layer
            for layer in self.layers
            if isinstance(layer, AttentionMask)
            or (isinstance(layer, ConvBlock) and layer.name.startswith("attention_"))
        ]

    def _complete_callbacks(self, callbacks):
        callbacks = super()._complete_callbacks(callbacks)
        if self.distillation_active or any(isinstance(c, PhaseSwitch) for c in callbacks):
            return callbacks
        return [PhaseSwitch(), *callbacks]
