import keras

from keras_atinet.ops import upsample_align_corners


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
