"""The layers of a model for inference that Keras does not have."""

import keras

from keras_atinet.layers.checks import check_task
from keras_atinet.layers.convolution import Conv2D
from keras_atinet.layers.resizing import BilinearResizing
from keras_atinet.ops import inference, max_pool
from keras_atinet.ops.convolution import lay_out_kernel


@keras.saving.register_keras_serializable(package="keras_atinet")
class InferenceConv2D(Conv2D):
    """`Conv2D` for inference: its kernel lies in memory as the backend likes to read it."""

    def build(self, input_shape):
        super().build(input_shape)
        lay_out_kernel(self.kernel)


@keras.saving.register_keras_serializable(package="keras_atinet")
class InferenceMaxPooling2D(keras.layers.Layer):
    """2 x 2 max pooling, stride 2, for inference.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, height and width even.

    Returns:
        `(batch, height / 2, width / 2, channels)`, dtype of `inputs`.
    """

    def call(self, inputs):
        return max_pool(inputs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(_scaled(inputs.shape, lambda size: size // 2), self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_atinet")
class InferenceMaxPooling2DWithArgmax(keras.layers.Layer):
    """`MaxPooling2DWithArgmax` for inference: no gradient, any even size, known or not.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, height and width even.

    Returns:
        `pooled` and `argmax` in `[0, 4)`, both `(batch, height / 2, width / 2, channels)` and of
        the dtype of `inputs`.
    """

    def call(self, inputs):
        return inference.max_pool_with_argmax(inputs)

    def compute_output_spec(self, inputs):
        shape = _scaled(inputs.shape, lambda size: size // 2)
        return keras.KerasTensor(shape, self.compute_dtype), keras.KerasTensor(
            shape, self.compute_dtype
        )


@keras.saving.register_keras_serializable(package="keras_atinet")
class InferenceMaxUnpooling2D(keras.layers.Layer):
    """`MaxUnpooling2D` for inference: no gradient, any size, known or not.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.
        argmax: tensor of the same shape, values in `[0, 4)`.

    Returns:
        `(batch, 2 * height, 2 * width, channels)`, dtype of `inputs`.
    """

    def call(self, inputs, argmax):
        return inference.max_unpool(inputs, argmax)

    def compute_output_spec(self, inputs, argmax):
        return keras.KerasTensor(_scaled(inputs.shape, lambda size: 2 * size), self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_atinet")
class InferenceBilinearUpSampling2D(keras.layers.Layer):
    """`BilinearUpSampling2D` for inference: no gradient, any size, known or not.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.

    Returns:
        `(batch, 2 * height, 2 * width, channels)`, dtype of `inputs`.
    """

    def call(self, inputs):
        return inference.upsample_align_corners(inputs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(_scaled(inputs.shape, lambda size: 2 * size), self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_atinet")
class InferenceBilinearResizing(BilinearResizing):
    """`BilinearResizing` for inference: one operation that every format of export knows."""

    def call(self, inputs, like=None):
        return inference.resize_bilinear(inputs, self._like(like))


@keras.saving.register_keras_serializable(package="keras_atinet")
class TaskActivation(keras.layers.Layer):
    """The activation of a task, `y = activation(x)` in float32: logits, metres, unit vectors.

    Args:
        task: a `Task`.

    Call arguments:
        inputs: float tensor `(batch, height, width, task.channels)`.

    Returns:
        float32 tensor of the same shape.
    """

    def __init__(self, task, **kwargs):
        super().__init__(**kwargs)
        check_task(task, self)
        self.task = task

    def call(self, inputs):
        return self.task.activation(keras.ops.cast(inputs, "float32"))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, "float32")

    def get_config(self):
        return {**super().get_config(), "task": keras.saving.serialize_keras_object(self.task)}

    @classmethod
    def from_config(cls, config):
        task = keras.saving.deserialize_keras_object(config["task"])
        return cls(**{**config, "task": task})


def _scaled(shape, scale):
    batch, height, width, channels = shape
    height, width = (None if size is None else scale(size) for size in (height, width))
    return batch, height, width, channels
