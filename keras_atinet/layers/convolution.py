import keras

from keras_atinet.layers.checks import check_fixed
from keras_atinet.ops import conv

_DEFAULTS = {
    "padding": "same",
    "kernel_initializer": "glorot_normal",
    "data_format": "channels_last",
}


@keras.saving.register_keras_serializable(package="keras_atinet")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with stride 1, an odd kernel, `"same"` padding and a bias.

    Kernels start Glorot-normal, biases 0. The same weights and numbers; on PyTorch it takes half
    the memory and less time, because it copies nothing from one layout to another.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, or a list of them, whose channels
            the kernel sees side by side, without a copy that joins them.
        add_bias: bool, `False` where a `BatchNormalization` that follows takes the bias.

    Returns:
        `(batch, height, width, filters)`, compute dtype.

    Raises:
        ValueError: if an argument of `keras.layers.Conv2D` asks for something else.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, **{**_DEFAULTS, **kwargs})
        self.input_spec = None  # of one tensor
        check_fixed(self, padding="same", strides=(1, 1), dilation_rate=(1, 1), groups=1)
        check_fixed(self, use_bias=True, data_format="channels_last")
        if not all(size % 2 for size in self.kernel_size):
            raise ValueError(
                "`kernel_size` of `Conv2D` must be odd. "
                f"Received: kernel_size={self.kernel_size}. Use e.g. 3."
            )

    def build(self, input_shape):
        super().build(_joined(input_shape))
        self.input_spec = None  # of one tensor

    def compute_output_shape(self, input_shape):
        return (*_joined(input_shape)[:-1], self.filters)

    def call(self, inputs, add_bias=True):
        return self.activation(conv(inputs, self.kernel, self.bias if add_bias else None))


def _joined(shape):
    """The shape of tensors with their channels side by side, from one shape or a list of them."""
    shapes = shape if isinstance(shape[-1], (list, tuple)) else [shape]
    return (*shapes[0][:-1], sum(channels for *_, channels in shapes))
