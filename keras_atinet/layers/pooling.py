import keras

from keras_atinet.layers.checks import check_fixed
from keras_atinet.ops import max_pool, max_pool_with_argmax, max_unpool


@keras.saving.register_keras_serializable(package="keras_atinet")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` of 2 x 2, stride 2; on PyTorch in less memory.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.

    Returns:
        `(batch, height / 2, width / 2, channels)`, dtype of `inputs`.

    Raises:
        ValueError: if an argument of `keras.layers.MaxPooling2D` asks for something else.
    """

    def __init__(self, pool_size=2, data_format="channels_last", **kwargs):
        super().__init__(pool_size, data_format=data_format, **kwargs)
        check_fixed(self, pool_size=(2, 2), strides=(2, 2), padding="valid")
        check_fixed(self, data_format="channels_last")

    def call(self, inputs):
        return max_pool(inputs)


@keras.saving.register_keras_serializable(package="keras_atinet")
class MaxPooling2DWithArgmax(keras.layers.Layer):
    """2 x 2 max pooling, stride 2, that also yields the argmax of every window.

    `pooled[b, i, j, c] = max over p, q in {0, 1} of inputs[b, 2i+p, 2j+q, c]` and
    `argmax[b, i, j, c] = 2p + q` of the first maximum in row-major order.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, height and width even.

    Returns:
        `pooled`, dtype of `inputs`, and `argmax`, uint8 in `[0, 4)`, both
        `(batch, height / 2, width / 2, channels)`.

    Raises:
        ValueError: if height or width is odd.

    Reference: SegNet, Badrinarayanan et al., 2017.
    """

    def build(self, input_shape):
        _, height, width, _ = input_shape
        if height % 2 or width % 2:
            raise ValueError(
                "`MaxPooling2DWithArgmax` needs an even height and width. "
                f"Received: input shape {tuple(input_shape)}. Pad or resize the input."
            )

    def call(self, inputs):
        return max_pool_with_argmax(inputs)


@keras.saving.register_keras_serializable(package="keras_atinet")
class MaxUnpooling2D(keras.layers.Layer):
    """Puts each value back where its maximum came from; zeros elsewhere.

    `y[b, 2i+p, 2j+q, c] = x[b, i, j, c]` if `argmax[b, i, j, c] == 2p + q`, else 0.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.
        argmax: integer tensor of the same shape, values in `[0, 4)`.

    Returns:
        `(batch, 2 * height, 2 * width, channels)`, dtype of `inputs`.

    Raises:
        ValueError: if the two shapes differ.

    Reference: SegNet, Badrinarayanan et al., 2017.
    """

    def build(self, inputs_shape, argmax_shape):
        if tuple(inputs_shape[1:]) != tuple(argmax_shape[1:]):
            raise ValueError(
                "`MaxUnpooling2D` needs `inputs` and `argmax` of one shape. "
                f"Received: inputs {tuple(inputs_shape)}, argmax {tuple(argmax_shape)}. "
                "Take `argmax` from the pooling that made `inputs`."
            )

    def call(self, inputs, argmax):
        return max_unpool(inputs, argmax)
