import keras

from keras_atinet.layers.batch_normalization import BatchNormalization
from keras_atinet.layers.convolution import Conv2D

BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


@keras.saving.register_keras_serializable(package="keras_atinet")
class ConvBlock(keras.layers.Layer):
    """Convolution with bias, BatchNorm (momentum 0.9, epsilon 1e-5), ReLU.

    `y = relu(batch_norm(conv(x)))`. Kernels start Glorot-normal, biases 0.

    Args:
        filters: int, output channels.
        kernel_size: int, side of the kernel. Defaults to 3.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, or a list, see `Conv2D`.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        `(batch, height, width, filters)`, compute dtype.
    """

    def __init__(self, filters, kernel_size=3, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.conv = Conv2D(filters, kernel_size, dtype=self.dtype_policy, name="conv")
        self.norm = BatchNormalization(**BATCH_NORM, dtype=self.dtype_policy, name="norm")

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build(self.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        x = self.conv(inputs, add_bias=False)
        return keras.ops.relu(self.norm(x, bias=self.conv.bias, training=training))

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }
