import keras

from keras_atinet.layers.batch_normalization import BatchNormalization
from keras_atinet.layers.conv_block import BATCH_NORM, ConvBlock
from keras_atinet.layers.convolution import Conv2D


class _Residual(keras.layers.Layer):
    """`y = relu(norm(conv(blocks(x))) + shortcut(x))`; subclasses say which blocks and kernel."""

    def __init__(self, filters, blocks, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.blocks = [
            ConvBlock(width, size, dtype=self.dtype_policy, name=f"block_{index}")
            for index, (width, size) in enumerate(blocks, 1)
        ]
        self.conv = Conv2D(filters, kernel_size, dtype=self.dtype_policy, name="conv")
        self.norm = BatchNormalization(**BATCH_NORM, dtype=self.dtype_policy, name="norm")
        self.shortcut_conv = self.shortcut_norm = None

    def build(self, input_shape):
        shape = self.compute_output_shape(input_shape)
        if tuple(input_shape) != tuple(shape):
            self.shortcut_conv = Conv2D(
                self.filters, 1, dtype=self.dtype_policy, name="shortcut_conv"
            )
            self.shortcut_norm = BatchNormalization(
                **BATCH_NORM, dtype=self.dtype_policy, name="shortcut_norm"
            )
            self.shortcut_conv.build(input_shape)
            self.shortcut_norm.build(shape)
        for block in self.blocks:
            block.build(input_shape)
            input_shape = block.compute_output_shape(input_shape)
        self.conv.build(input_shape)
        self.norm.build(shape)

    def call(self, inputs, training=None):
        x = shortcut = inputs
        for block in self.blocks:
            x = block(x, training=training)
        x = self.norm(self.conv(x, add_bias=False), bias=self.conv.bias, training=training)
        if self.shortcut_conv is not None:
            shortcut = self.shortcut_norm(
                self.shortcut_conv(inputs, add_bias=False),
                bias=self.shortcut_conv.bias,
                training=training,
            )
        return keras.ops.relu(x + shortcut)

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package="keras_atinet")
class ResidualBlock(_Residual):
    """The basic residual block: two 3x3 convolutions and a shortcut.

    `y = relu(norm(conv3x3(relu(norm(conv3x3(x))))) + shortcut(x))`. The shortcut is x, or
    `norm(conv1x1(x))` where x has another number of channels or is a list.

    Args:
        filters: int, output channels.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, or a list, see `Conv2D`.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        `(batch, height, width, filters)`, compute dtype.

    Reference: ResNet, He et al., CVPR 2016, Fig. 5.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(filters, [(filters, 3)], 3, **kwargs)


@keras.saving.register_keras_serializable(package="keras_atinet")
class BottleneckBlock(_Residual):
    """The residual block with a bottleneck: 1x1, 3x3 and 1x1 convolutions and a shortcut.

    `y = relu(norm(conv1x1(block3x3(block1x1(x)))) + shortcut(x))`, with ConvBlocks. The shortcut is
    x, or `norm(conv1x1(x))` where x has another number of channels or is a list.

    Args:
        filters: int, output channels.
        width: optional int, channels of the first two convolutions. Defaults to `filters // 4`, but
            at least 1.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, or a list, see `Conv2D`.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        `(batch, height, width, filters)`, compute dtype.

    Reference: ResNet, He et al., CVPR 2016, Fig. 5.
    """

    def __init__(self, filters, width=None, **kwargs):
        width = width or max(filters // 4, 1)
        super().__init__(filters, [(width, 1), (width, 3)], 1, **kwargs)
        self.width = width

    def get_config(self):
        return {**super().get_config(), "width": self.width}
