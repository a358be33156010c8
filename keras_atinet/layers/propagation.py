import functools

import keras
from keras import ops

from keras_atinet.layers.convolution import Conv2D
from keras_atinet.layers.residual import ResidualBlock


@keras.saving.register_keras_serializable(package="keras_atinet")
class SqueezeExcitation(keras.layers.Layer):
    """Features times a gate for each channel, which their means over the image decide.

    `y = x * sigmoid(W_2 relu(W_1 mean(x) + b_1) + b_2)`, with the mean over height and width.

    Args:
        width: optional int, the number of rows of `W_1`. Defaults to a 16th of the channels, but
            at least 4: with a single one, every other gate would start as a constant.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.

    Returns:
        Tensor of the same shape, compute dtype.

    Reference: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018.
    """

    def __init__(self, width=None, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def build(self, input_shape):
        batch, _, _, channels = input_shape
        width = self.width or max(channels // 16, 4)
        self.squeeze = Conv2D(width, 1, dtype=self.dtype_policy, name="squeeze")
        self.excitation = Conv2D(channels, 1, dtype=self.dtype_policy, name="excitation")
        self.squeeze.build((batch, 1, 1, channels))
        self.excitation.build((batch, 1, 1, width))

    def call(self, inputs):
        hidden = ops.relu(self.squeeze(ops.mean(inputs, axis=(1, 2), keepdims=True)))
        return inputs * ops.sigmoid(self.excitation(hidden))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable(package="keras_atinet")
class FeaturePropagation(keras.layers.Layer):
    """What the tasks' features at one scale hand on to the next finer one.

    With the features `F_k` of K tasks, of C channels, side by side in Z,

    `M_k = exp(L_k) / sum over j of exp(L_j)`, `L_k = conv1x1_k(block(block(Z)))`,
    `R = block([M_1 * F_1, ..., M_K * F_K])`, `F'_k = SqueezeExcitation_k(R) + F_k`,

    where the blocks are `ResidualBlock`s, those of `L` of K C / 4 channels (at least 1) and that of
    R of C. The tasks' masks sum to 1 at each pixel and channel; a single task has none, `M_1 = 1`.

    Args:
        tasks: sequence of str, the tasks' names in the order of the features.

    Call arguments:
        features: list of one float tensor `(batch, height, width, channels)` per task, all of the
            same shape.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        List of one tensor per task, of the same shape.

    Reference: MTI-Net, Vandenhende et al., ECCV 2020, the feature propagation module.
    """

    # Its weights are in the order of the tasks.
    mixes_tasks = True

    def __init__(self, tasks, **kwargs):
        super().__init__(**kwargs)
        self.tasks = tuple(tasks)

    def build(self, features_shape):
        shape, count = features_shape[0], len(self.tasks)
        self.mask_blocks, self.masks = [], []
        if count > 1:
            width = max(count * shape[-1] // 4, 1)
            self.mask_blocks = [
                ResidualBlock(width, dtype=self.dtype_policy, name=f"mask_block_{index}")
                for index in (1, 2)
            ]
            self.masks = [
                Conv2D(shape[-1], 1, dtype=self.dtype_policy, name=f"{task}_mask")
                for task in self.tasks
            ]
            first, second = self.mask_blocks
            hidden_shape = (*shape[:-1], width)
            first.build(features_shape)
            for layer in (second, *self.masks):
                layer.build(hidden_shape)
        self.reduction = ResidualBlock(shape[-1], dtype=self.dtype_policy, name="reduction")
        self.reduction.build(features_shape)
        self.gates = [
            SqueezeExcitation(dtype=self.dtype_policy, name=f"{task}_gate") for task in self.tasks
        ]
        for gate in self.gates:
            gate.build(shape)

    def call(self, features, training=None):
        attended = features
        if self.masks:
            hidden = features
            for block in self.mask_blocks:
                hidden = block(hidden, training=training)
            masks = softmax_of([mask(hidden) for mask in self.masks])
            attended = [mask * x for mask, x in zip(masks, features, strict=True)]
        shared = self.reduction(attended, training=training)
        return [gate(shared) + x for gate, x in zip(self.gates, features, strict=True)]

    def compute_output_shape(self, features_shape):
        return list(features_shape)

    def get_config(self):
        return {**super().get_config(), "tasks": self.tasks}


def softmax_of(tensors):
    """`exp(x_k) / sum over j of exp(x_j)`, element by element of a list of tensors.

    Of operations that every format of export knows at any size, unlike a softmax over an axis that
    is neither first nor last.
    """
    # It cancels: so does its gradient.
    largest = ops.stop_gradient(functools.reduce(ops.maximum, tensors))
    powers = [ops.exp(x - largest) for x in tensors]
    total = sum(powers[1:], start=powers[0])
    return [power / total for power in powers]
