import numbers

import keras

from keras_atinet.layers import AttentionMask, ConvBlock, PredictionHead, TaskDistillation
from keras_atinet.models.arguments import check_remat, standardize_arguments
from keras_atinet.models.attended import attended_features, attended_network
from keras_atinet.models.attention import attention_decoder, attention_encoder
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import DEFAULT_FILTERS, DEFAULT_INPUT_SHAPE
from keras_atinet.training import OptimizerGroup, PhaseSwitch
from keras_atinet.training.callbacks.phase_switch import RESETTABLE


@keras.saving.register_keras_serializable(package="keras_atinet")
class ATINet(MultiTaskModel):
    """Attentive Task Interaction Network.

    An encoder and a decoder shared by all tasks, by default SegNet's; between them the tasks distil
    the bottleneck with each other (`TaskDistillation`); beside them each task picks its features
    with attention masks; a head per task.

    It trains in two phases, see `PhaseSwitch`. `fit` adds that callback where the user gave none,
    the distillation is off, and the attention modules are new (or `initial_epoch` says that this
    training goes on): modules that were trained before keep their weights. Each group of
    `optimizer_groups` has its own optimizer state.

    Args:
        tasks: one name, a `Task`, a sequence of names and `Task` objects, or a dict
            name -> channels. Defaults to `("segmentation", "depth", "normal")`.
        input_shape: `(height, width, channels)`, on SegNet height and width divisible by 32.
            Defaults to `(288, 384, 3)`.
        filters: five ints, the width of each level: at strides 1, 2, 4, 8, and from 16 on.
            Defaults to `(64, 128, 256, 512, 512)`.
        dtype: optional dtype policy, e.g. `"mixed_bfloat16"`. Defaults to the global policy.
        name: str. Defaults to `"atinet"`.
        remat: optional `"attention"`: training keeps no activations within the attention modules
            and computes them again in the backward pass. Up to 40 % less memory, the same numbers
            and weights. Defaults to `None`.
        encoder: optional encoder instead of SegNet's: a functional `keras.Model` from an image,
            such as those of `keras.applications` and keras-hub (it is copied, weights included,
            and stays as it is), or a name that `keras_atinet.build_encoder` knows, e.g.
            `"efficientnet_lite0"`. The features of its levels (`keras_atinet.encoder_levels`) pass
            1x1 ConvBlocks to `filters`; the deepest is the bottleneck; the decoder is a U-Net, and
            predictions are resized to the size of the image. Defaults to `None`, SegNet.
        encoder_weights: weights of an encoder given by its name: `"imagenet"`, or the path of a
            file. Defaults to `None`, random weights.
        encoder_features: optional dict, stride -> name of a layer or a pair of them, the first and
            the last feature of each level. Defaults to those that `encoder_levels` finds.
        preprocessing: what brings images in `[0, 1]` to the values that the encoder was trained
            on: `"unit"`, `"rgb255"`, `"tf"`, `"torch"`, `"caffe"`, a Keras layer or a list of
            layers. Defaults to what is known of the encoder.
        freeze_encoder: `True`, the encoder is not trained, or int, not for so many epochs, in which
            its BatchNorms use and track the batches' statistics all the same, unless
            `freeze_batch_norm`. Defaults to `False`.
        freeze_batch_norm: bool, the BatchNorms of the encoder keep their statistics and weights.
            Defaults to `False`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: if a task is unknown, `filters` are not five ints, a size is not divisible by
            32 (on SegNet), or an argument of the encoder does not fit it.

    Example:
        >>> model = keras_atinet.ATINet(tasks=("segmentation", "depth", "normal"))
        >>> model.compile(keras.optimizers.Adam(1e-4), balancer="dwa")
        >>> model.fit(train, validation_data=test, epochs=200)

        On a pretrained encoder:

        >>> model = keras_atinet.ATINet(encoder="efficientnet_lite0", encoder_weights="imagenet")
        >>> model = keras_atinet.ATINet(encoder=keras.applications.ResNet50(include_top=False))

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
        encoder=None,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "ATINet", encoder
        )
        check_remat(remat, "ATINet")
        names = [task.name for task in tasks]

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        network = attended_network(inputs, encoder, filters, dtype=dtype)
        features, down = attention_encoder(network, tasks, dtype=dtype)
        distilled = TaskDistillation(names, filters[2::-1], dtype=dtype, name="distillation")(
            network.bottleneck
        )
        upsampled, decoded = network.decoder(distilled)
        features, up = attention_decoder(features, network, upsampled, decoded, tasks, dtype=dtype)
        image = inputs if encoder else None
        outputs = prediction_heads(features, tasks, filters, dtype=dtype, image=image)

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "remat": remat,
            "encoder": encoder,
        }
        shared = attended_features(network, upsampled, decoded)
        segments = [*down, *up] if remat == "attention" else []
        super().__init__(inputs, outputs, tasks, config, shared, segments, dtype=dtype, name=name)

    @property
    def distillation_active(self):
        """Bool, whether the decoder reads the distilled bottleneck (phase 2). Can be set.

        True makes `distillation_share` 1 if it is 0, False makes it 0.
        """
        return self.distillation_share > 0

    @distillation_active.setter
    def distillation_active(self, active):
        # On TensorFlow, setting an attribute to what it is already does not come here.
        if bool(active) != self.distillation_active:
            self.distillation_share = bool(active)

    @property
    def distillation_share(self):
        """Float in `[0, 1]`, the share of distilled features in the bottleneck. Can be set."""
        return float(keras.ops.convert_to_numpy(self.get_layer("distillation").share))

    @distillation_share.setter
    def distillation_share(self, share):
        if not isinstance(share, numbers.Real) or not 0 <= share <= 1:
            raise ValueError(f"`distillation_share` must lie in [0, 1]. Received: {share!r}.")
        self.get_layer("distillation").share.assign(float(share))

    def optimizer_groups(self):
        groups = {
            kind: OptimizerGroup(
                [variable for layer in self.module_layers(kind) for variable in layer.variables]
            )
            for kind in RESETTABLE
        }
        distillation = self.get_layer("distillation")
        # Replicas cannot meet inside a condition.
        is_on = None if self.num_replicas > 1 else lambda: distillation.share.value > 0
        groups = {**super().optimizer_groups(), **groups}
        return {**groups, "distillation": OptimizerGroup(distillation.variables, is_on)}

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

    def _complete_callbacks(self, callbacks, initial_epoch):
        callbacks = super()._complete_callbacks(callbacks, initial_epoch)
        given = [callback for callback in callbacks if isinstance(callback, PhaseSwitch)]
        others = [callback for callback in callbacks if callback not in given]
        if len(given) > 1:
            raise ValueError(
                "`fit` takes one `PhaseSwitch`, as there is one switch. "
                f"Received: {len(given)} in `callbacks`."
            )
        goes_on = initial_epoch > 0 or any(
            isinstance(callback, keras.callbacks.BackupAndRestore) for callback in others
        )
        if not given and not self.distillation_active:
            if goes_on or not self._attention_is_trained():
                given = [PhaseSwitch()]
            else:
                print(
                    "ATINet: the distillation stays off, because the switch to the second phase "
                    "would give the attention modules, which have been trained, new weights "
                    "halfway. For two phases: `fit(..., callbacks=[keras_atinet.PhaseSwitch()])`; "
                    "to resume a training, `fit(..., initial_epoch=...)`."
                )
        elif not given and self.distillation_share < 1:
            print(
                f"ATINet: the share of distilled features stays at {self.distillation_share:.2f}. "
                "To resume the ramp, pass the `PhaseSwitch` that began it."
            )
        # In front, but behind what at first puts the weights back that the switch is to reset.
        swaps = [isinstance(callback, keras.callbacks.SwapEMAWeights) for callback in others]
        place = len(swaps) - swaps[::-1].index(True) if any(swaps) else 0
        return [*others[:place], *given, *others[place:]]

    def _attention_is_trained(self):
        """Whether a BatchNorm there has other statistics than those that it starts with."""
        initial = {"moving_mean": 0, "moving_variance": 1}
        return any(
            (keras.ops.convert_to_numpy(weight) != initial[weight.name]).any()
            for layer in self.module_layers("attention")
            for weight in layer.weights
            if weight.name in initial
        )
