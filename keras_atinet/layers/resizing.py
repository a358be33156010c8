import keras

from keras_atinet.ops import resize_bilinear, upsample_align_corners


@keras.saving.register_keras_serializable(package="keras_atinet")
class BilinearUpSampling2D(keras.layers.Layer):
    """Bilinear upsampling by 2 that aligns corners, which `UpSampling2D` does not.

    Output i along an axis of size n samples the input at `i (n - 1) / (2n - 1)`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.

    Returns:
        `(batch, 2 * height, 2 * width, channels)`, dtype of `inputs`.
    """

    def call(self, inputs):
        return upsample_align_corners(inputs)


@keras.saving.register_keras_serializable(package="keras_atinet")
class BilinearResizing(keras.layers.Layer):
    """Bilinear resizing to the height and width of another tensor, whatever they are, or to `size`.

    Along an axis that goes from n to m pixels, output i samples the input at
    `(i + 1/2) n / m - 1/2`, moved into `[0, n - 1]`, without antialiasing. The sizes may be unknown
    on TensorFlow and PyTorch; where both are known and equal, nothing is computed.

    Args:
        size: optional tuple of two ints, the height and width for all calls.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.
        like: tensor `(batch, new height, new width, any channels)`, only its shape is read; to be
            given where there is no `size`.

    Returns:
        `(batch, new height, new width, channels)`, compute dtype.

    Example:
        >>> resized = BilinearResizing()(deep, like=skip)
    """

    def __init__(self, size=None, **kwargs):
        super().__init__(**kwargs)
        self.size = None if size is None else tuple(size)

    def call(self, inputs, like=None):
        return resize_bilinear(inputs, self._like(like))

    def compute_output_spec(self, inputs, like=None):
        size = self._like(like).shape[1:3]
        return keras.KerasTensor((inputs.shape[0], *size, inputs.shape[-1]), self.compute_dtype)

    def _like(self, like):
        return like if self.size is None else keras.KerasTensor((None, *self.size, 1))

    def get_config(self):
        return {**super().get_config(), "size": self.size}
