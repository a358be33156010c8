import keras

from keras_atinet.layers.batch_normalization import BatchNormalization
from keras_atinet.layers.conv_block import BATCH_NORM, ConvBlock
from keras_atinet.layers.convolution import Conv2D


@keras.saving.register_keras_serializable(package="keras_atinet")
class AttentionMask(keras.layers.Layer):
    """A task's soft mask over shared features.

    `mask(x) = sigmoid(norm(conv1x1(relu(norm(conv1x1(x))))))`, each value in `[0, 1]`.

    Args:
        filters: int, channels of the feature that the mask multiplies.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, or a list of them: the mask is
            that of their channels side by side, `mask([x_1, x_2])`.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        `(batch, height, width, filters)` in `[0, 1]`, compute dtype.

    Reference: MTAN, Liu et al., CVPR 2019, section 3.2.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.block = ConvBlock(filters, kernel_size=1, dtype=self.dtype_policy, name="block")
        self.conv = Conv2D(filters, 1, dtype=self.dtype_policy, name="conv")
        self.norm = BatchNormalization(**BATCH_NORM, dtype=self.dtype_policy, name="norm")

    def build(self, input_shape):
        mask_shape = self.compute_output_shape(input_shape)
        self.block.build(input_shape)
        self.conv.build(mask_shape)
        self.norm.build(mask_shape)

    def call(self, inputs, training=None):
        hidden = self.block(inputs, training=training)
        x = self.conv(hidden, add_bias=False)
        return keras.ops.sigmoid(self.norm(x, bias=self.conv.bias, training=training))

    def compute_output_shape(self, input_shape):
        return self.block.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}
