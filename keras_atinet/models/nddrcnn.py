import math
import numbers

import keras

from keras_atinet.layers import BilinearResizing, ConvBlock, NDDRUnit
from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.mixing import MixedNetworks, check_multiplier
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import DEFAULT_FILTERS, DEFAULT_INPUT_SHAPE
from keras_atinet.training import OptimizerGroup


@keras.saving.register_keras_serializable(package="keras_atinet")
class NDDRCNN(MultiTaskModel):
    """NDDR-CNN: an encoder and a decoder per task, fused level by level by 1x1 convolutions.

    After each level a task's features become `y_i = relu(batch_norm(W_i [x_1, ..., x_K]))`, the
    features of all tasks reduced to its own channels (`NDDRUnit`); this is what its next level and,
    on an `encoder`, its decoder read.

    Args:
        tasks, input_shape, filters, dtype: as for `ATINet`. With one task there is nothing to fuse.
        name: str. Defaults to `"nddrcnn"`.
        shortcut: bool, whether a task's fused features of all levels, resized to the deepest one's
            size and joined by a 1x1 ConvBlock, take its place in the decoder. Defaults to `False`.
        units_lr_multiplier: float above 0, what the learning rate of the units is multiplied by,
            unless `compile(learning_rate_multipliers={"units": ...})` says otherwise. Defaults to
            1, for optimizers such as Adam, whose steps do not depend on the size of the gradient;
            published trainings take SGD and 100.
        units_weight_decay: optional float, the weight decay of the units' kernels, part of the
            method: `W <- W - learning_rate * units_weight_decay * W` at each step, whatever the
            optimizer's own is. `None` leaves it to the optimizer. Defaults to 0.1.
        encoder, **encoder_options: as for `CrossStitch`.
        decoder, decoder_filters: as for `Split`, one for each task.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: as for `CrossStitch`, or if `units_weight_decay` is below 0.

    Example:
        >>> model = keras_atinet.NDDRCNN(tasks=("depth", "normal"), input_shape=(96, 128, 3))
        >>> model = keras_atinet.NDDRCNN(encoder="mobilenet_v2", encoder_weights="imagenet")

    Reference: Gao et al., "NDDR-CNN: Layerwise Feature Fusing in Multi-Task CNNs by Neural
    Discriminative Dimensionality Reduction", CVPR 2019.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="nddrcnn",
        shortcut=False,
        units_lr_multiplier=1.0,
        units_weight_decay=0.1,
        encoder=None,
        decoder=None,
        decoder_filters=None,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "NDDRCNN", encoder
        )
        check_multiplier(units_lr_multiplier, "NDDRCNN")
        _check_decay(units_weight_decay)

        def unit(own, name):
            return NDDRUnit(own, dtype=dtype, name=name)

        def join(levels, name):
            return _shortcut(levels, name, dtype)

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        mixed = MixedNetworks(
            inputs,
            tasks,
            encoder,
            decoder,
            decoder_filters,
            filters,
            dtype,
            "NDDRCNN",
            unit,
            join if shortcut else None,
        )
        image = inputs if encoder else None
        outputs = prediction_heads(mixed.features, tasks, filters, dtype=dtype, image=image)

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "shortcut": shortcut,
            "units_lr_multiplier": units_lr_multiplier,
            "units_weight_decay": units_weight_decay,
            "encoder": encoder,
            "decoder": decoder,
            "decoder_filters": decoder_filters,
        }
        super().__init__(
            inputs, outputs, tasks, config, dtype=dtype, name=name, encoder=mixed.encoder
        )

    def optimizer_groups(self):
        shortcuts = {f"{task.name}_shortcut" for task in self.tasks}
        layers = [x for x in self.layers if isinstance(x, NDDRUnit) or x.name in shortcuts]
        units = OptimizerGroup(
            [variable for layer in layers for variable in layer.variables],
            multiplier=self._config["units_lr_multiplier"],
            weight_decay=self._config["units_weight_decay"],
        )
        return {**super().optimizer_groups(), "units": units}


def _shortcut(levels, name, dtype):
    """A task's features of all levels at the deepest one's size, reduced to its channels."""
    *finer, deepest = levels
    resized = [
        BilinearResizing(dtype=dtype, name=f"{name}_resizing_{index}")(x, deepest)
        for index, x in enumerate(finer, 1)
    ]
    return ConvBlock(deepest.shape[-1], 1, dtype=dtype, name=name)([*resized, deepest])


def _check_decay(decay):
    if decay is None:
        return
    if isinstance(decay, bool) or not isinstance(decay, numbers.Real) or not 0 <= decay < math.inf:
        raise ValueError(
            "`units_weight_decay` of `NDDRCNN` must be a finite number, 0 or above, or None. "
            f"Received: units_weight_decay={decay!r}."
        )
