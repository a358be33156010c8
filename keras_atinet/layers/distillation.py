import keras
from keras import ops

from keras_atinet.layers.conv_block import ConvBlock
from keras_atinet.layers.convolution import Conv2D

GATES = ("sender", "receiver")


@keras.saving.register_keras_serializable(package="keras_atinet")
class DeconvHead(keras.layers.Layer):
    """1x1 ConvBlocks in a row that change the number of channels step by step.

    As a "deconv" head it leads the bottleneck down to the initial prediction features
    (512 -> 256 -> 128 -> 64), as a task encoder back up (64 -> 128 -> 256 -> 512).

    Args:
        filters: sequence of ints, the channels after each block.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        `(batch, height, width, filters[-1])`, compute dtype.

    Reference: ATI-Net, Sinodinos and Armanfard, section III.A.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = tuple(filters)
        self.blocks = [
            ConvBlock(width, kernel_size=1, dtype=self.dtype_policy, name=f"block_{index}")
            for index, width in enumerate(self.filters, 1)
        ]

    def build(self, input_shape):
        for block in self.blocks:
            block.build(input_shape)
            input_shape = block.compute_output_shape(input_shape)

    def call(self, inputs, training=None):
        for block in self.blocks:
            inputs = block(inputs, training=training)
        return inputs

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters[-1])

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package="keras_atinet")
class SelfAttention(keras.layers.Layer):
    """What one task's features have to say to another task.

    `y = conv3x3(x) * sigmoid(conv3x3'(x))`: the gate learns which of it to pass on.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.

    Returns:
        Tensor of the same shape, compute dtype.

    Reference: PAD-Net, Xu et al., CVPR 2018, distillation module C.
    """

    def build(self, input_shape):
        channels = input_shape[-1]
        self.message, self.gate = (
            Conv2D(channels, 3, dtype=self.dtype_policy, name=name) for name in ("message", "gate")
        )
        self.message.build(input_shape)
        self.gate.build(input_shape)

    def call(self, inputs):
        return self.message(inputs) * ops.sigmoid(self.gate(inputs))

    # Left to Keras, a symbolic call on PyTorch promises float32 under mixed precision.
    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_atinet")
class MultiModalDistillation(keras.layers.Layer):
    """Every task's features, refined by messages from all the other tasks.

    With `gate="sender"` each message is gated by the features that it is made of,
    `F'_t = F_t + sum over a != t of SelfAttention_{t, a}(F_a)`. With `gate="receiver"` the features
    of the task that receives it decide,
    `F'_t = F_t + sigmoid(conv3x3_t(F_t)) * sum over a != t of conv3x3_{t, a}(F_a)`. With one task
    `F'_t = F_t`.

    Args:
        tasks: sequence of str, the tasks' names in the order of the features.
        targets: optional sequence of str, those whose features are refined; the others only send.
            Defaults to all tasks.
        gate: `"sender"` or `"receiver"`. Defaults to `"sender"`.

    Call arguments:
        features: list of one float tensor `(batch, height, width, channels)` per task, all of the
            same shape where the gate is the receiver's.

    Returns:
        List of one tensor per target, of the shapes of their features.

    Raises:
        ValueError: if `gate` is neither.

    Reference: ATI-Net, Fig. 1; PAD-Net, Xu et al., CVPR 2018, distillation module C.
    """

    def __init__(self, tasks, targets=None, gate="sender", **kwargs):
        super().__init__(**kwargs)
        if gate not in GATES:
            raise ValueError(f"`gate` must be one of {GATES}. Received: gate={gate!r}.")
        self.tasks = tuple(tasks)
        self.targets = self.tasks if targets is None else tuple(targets)
        self.gate = gate
        # Flat dicts, because Keras does not save layers in nested ones.
        self.attention, self.messages, self.gates = {}, {}, {}
        if gate == "sender":
            self.attention = {
                (target, auxiliary): SelfAttention(
                    dtype=self.dtype_policy, name=f"{auxiliary}_to_{target}"
                )
                for target, auxiliary in self._pairs()
            }

    def _pairs(self):
        return [(t, a) for t in self.targets for a in self.tasks if a != t]

    def build(self, features_shape):
        shapes = dict(zip(self.tasks, features_shape, strict=True))
        if self.gate == "receiver":
            for target, auxiliary in self._pairs():
                name = f"{auxiliary}_to_{target}"
                self.messages[target, auxiliary] = self._conv(shapes[target], name)
            for target in dict(self._pairs()):
                self.gates[target] = self._conv(shapes[target], f"{target}_gate")
        for (_, auxiliary), layer in [*self.attention.items(), *self.messages.items()]:
            layer.build(shapes[auxiliary])
        for target, layer in self.gates.items():
            layer.build(shapes[target])

    def _conv(self, shape, name):
        return Conv2D(shape[-1], 3, dtype=self.dtype_policy, name=name)

    def call(self, features):
        features = dict(zip(self.tasks, features, strict=True))
        return [self._refine(target, features) for target in self.targets]

    def _refine(self, target, features):
        others = [name for name in self.tasks if name != target]
        if self.gate == "sender" or not others:
            messages = (self.attention[target, a](features[a]) for a in others)
            return sum(messages, start=features[target])
        message = sum(self.messages[target, a](features[a]) for a in others)
        return features[target] + ops.sigmoid(self.gates[target](features[target])) * message

    def compute_output_shape(self, features_shape):
        shapes = dict(zip(self.tasks, features_shape, strict=True))
        return [shapes[target] for target in self.targets]

    def get_config(self):
        config = {"tasks": self.tasks, "targets": self.targets, "gate": self.gate}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="keras_atinet")
class TaskDistillation(keras.layers.Layer):
    """Task distillation of the latent features, with its switch.

    With the bottleneck x, deconv heads D_t, task encoders E_t and K tasks:

    `F_t = D_t(x)`, `F'_t = F_t + sum over a != t of SelfAttention_{t, a}(F_a)`,
    `y = (1 - r) x + r mean over t of E_t(F'_t)`.

    The share r in `[0, 1]` is a scalar non-trainable variable, `share`: setting it recompiles
    nothing, and it is saved with the weights. At 0, where it starts, y is x whatever the rest
    computes, and no gradient comes from here, neither for the weights here nor for x.

    Args:
        tasks: sequence of str, the tasks' names.
        filters: sequence of ints, the channels after each block of a deconv head; the task
            encoders go back up in mirror order to the channels of the input.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, the bottleneck.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        Tensor of the same shape, compute dtype.

    Reference: ATI-Net, Sinodinos and Armanfard, section III, Fig. 1 and 2.
    """

    def __init__(self, tasks, filters, **kwargs):
        super().__init__(**kwargs)
        self.tasks = tuple(tasks)
        self.filters = tuple(filters)
        self.deconv_heads = [
            DeconvHead(self.filters, dtype=self.dtype_policy, name=f"{task}_deconv_head")
            for task in self.tasks
        ]
        self.distillation = MultiModalDistillation(
            self.tasks, dtype=self.dtype_policy, name="distillation"
        )

    def build(self, input_shape):
        self.share = self.add_weight(
            shape=(),
            dtype="float32",
            initializer="zeros",
            trainable=False,
            autocast=False,
            name="share",
        )
        self.task_encoders = [
            DeconvHead(
                (*self.filters[-2::-1], input_shape[-1]),
                dtype=self.dtype_policy,
                name=f"{task}_encoder",
            )
            for task in self.tasks
        ]
        feature_shape = (*input_shape[:-1], self.filters[-1])
        for head, encoder in zip(self.deconv_heads, self.task_encoders, strict=True):
            head.build(input_shape)
            encoder.build(feature_shape)
        self.distillation.build([feature_shape] * len(self.tasks))

    def call(self, inputs, training=None):
        is_on = self.share.value > 0
        own = ops.where(is_on, inputs, ops.stop_gradient(inputs))
        features = [head(own, training=training) for head in self.deconv_heads]
        refined = self.distillation(features)
        encoded = [
            encoder(feature, training=training)
            for encoder, feature in zip(self.task_encoders, refined, strict=True)
        ]
        distilled = sum(encoded[1:], start=encoded[0]) / len(encoded)
        share = ops.cast(self.share, inputs.dtype)
        return ops.where(is_on, (1 - share) * inputs + share * distilled, inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "tasks": self.tasks, "filters": self.filters}
