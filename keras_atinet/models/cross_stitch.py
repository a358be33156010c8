import keras

from keras_atinet.layers import CrossStitchUnit
from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.mixing import MixedNetworks, check_multiplier
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import DEFAULT_FILTERS, DEFAULT_INPUT_SHAPE
from keras_atinet.training import OptimizerGroup


@keras.saving.register_keras_serializable(package="keras_atinet")
class CrossStitch(MultiTaskModel):
    """Cross-stitch networks: an encoder and a decoder per task, stitched together level by level.

    After each level a task's features become `y_i = sum over j of a_ij * x_j`, a mixture of the
    features of all tasks that it learns (`CrossStitchUnit`); this is what its next level and, on an
    `encoder`, its decoder read. Identity units make each task a `SingleTask`.

    Args:
        tasks, input_shape, filters, dtype: as for `ATINet`. With one task there is nothing to mix.
        name: str. Defaults to `"cross_stitch"`.
        per_channel: bool, whether the units have numbers for each channel, or one for each pair of
            tasks. Defaults to `True`.
        units_lr_multiplier: float above 0, what the learning rate of the units is multiplied by,
            unless `compile(learning_rate_multipliers={"units": ...})` says otherwise. Defaults to
            10, for optimizers such as Adam, whose steps do not depend on the size of the gradient;
            published trainings take SGD and 100 to 1000.
        encoder, **encoder_options: as for `ATINet`. Each task has a copy, weights included, and
            `model.encoder.models` are all of them; freezing, `encoder_lr_multiplier` and the
            like are for all together. Its levels must be cuts of its graph.
        decoder, decoder_filters: as for `Split`, one for each task.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: as for `Split`, or if something in the encoder leads past a level, or
            `units_lr_multiplier` is not above 0; by `compile`, for a balancer with
            `over="bottleneck"`, as no features lead to the outputs of all tasks alone.

    Example:
        >>> model = keras_atinet.CrossStitch(tasks=("depth", "normal"), input_shape=(96, 128, 3))
        >>> model = keras_atinet.CrossStitch(encoder="mobilenet_v2", encoder_weights="imagenet")

    Reference: Misra et al., "Cross-stitch Networks for Multi-task Learning", CVPR 2016.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="cross_stitch",
        per_channel=True,
        units_lr_multiplier=10.0,
        encoder=None,
        decoder=None,
        decoder_filters=None,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "CrossStitch", encoder
        )
        check_multiplier(units_lr_multiplier, "CrossStitch")

        def unit(own, name):
            return CrossStitchUnit(own, per_channel, dtype=dtype, name=name)

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        mixed = MixedNetworks(
            inputs, tasks, encoder, decoder, decoder_filters, filters, dtype, "CrossStitch", unit
        )
        image = inputs if encoder else None
        outputs = prediction_heads(mixed.features, tasks, filters, dtype=dtype, image=image)

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "per_channel": per_channel,
            "units_lr_multiplier": units_lr_multiplier,
            "encoder": encoder,
            "decoder": decoder,
            "decoder_filters": decoder_filters,
        }
        super().__init__(
            inputs, outputs, tasks, config, dtype=dtype, name=name, encoder=mixed.encoder
        )

    def optimizer_groups(self):
        layers = [layer for layer in self.layers if isinstance(layer, CrossStitchUnit)]
        variables = [variable for layer in layers for variable in layer.variables]
        units = OptimizerGroup(variables, multiplier=self._config["units_lr_multiplier"])
        return {**super().optimizer_groups(), "units": units}
