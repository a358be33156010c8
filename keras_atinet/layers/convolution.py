import keras

from keras_atinet.ops import conv


@keras.saving.register_keras_serializable(package="keras_atinet")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with stride 1, an odd kernel, `"same"` padding and a bias.

    Kernels start Glorot-normal, biases 0. The same weights and numbers; on PyTorch it takes half
    the memory and less time, because it copies nothing from one layout to another.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.

    Returns:
        `(batch, height, width, filters)`, compute dtype.
    """

    def __init__(
        self, filters, kernel_size, padding="same", kernel_initializer="glorot_normal", **kwargs
    ):
        super().__init__(
            filters, kernel_size, padding=padding, kernel_initializer=kernel_initializer, **kwargs
        )

    def call(self, inputs):
        return self.activation(conv(inputs, self.kernel, self.bias))
