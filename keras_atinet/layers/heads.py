import keras

from keras_atinet.layers.checks import check_task
from keras_atinet.layers.convolution import Conv2D
from keras_atinet.ops import resize_bilinear


@keras.saving.register_keras_serializable(package="keras_atinet")
class PredictionHead(keras.layers.Layer):
    """A task's prediction from its last features.

    `y = activation(conv1x1(conv3x3(x)))` with no activation between the two convolutions; the
    activation is the task's own (logits, metres, unit vectors) and works in float32. With `like`,
    `y = activation(resize(conv1x1(conv3x3(x))))`, see `BilinearResizing`.

    Args:
        task: a `Task`.
        filters: optional int, channels between the two convolutions. Defaults to `None`: there is
            no 3x3 convolution.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.
        like: optional tensor of rank 4, of whose height and width the prediction is to be.

    Returns:
        `(batch, height, width, task.channels)`, float32 under every dtype policy.
    """

    def __init__(self, task, filters=None, **kwargs):
        super().__init__(**kwargs)
        check_task(task, self)
        self.task = task
        self.filters = filters
        self.conv = None
        if filters is not None:
            self.conv = Conv2D(filters, 3, dtype=self.dtype_policy, name="conv")
        self.projection = Conv2D(task.channels, 1, dtype=self.dtype_policy, name="projection")

    def build(self, input_shape):
        if self.conv is not None:
            self.conv.build(input_shape)
            input_shape = self.conv.compute_output_shape(input_shape)
        self.projection.build(input_shape)

    def call(self, inputs, like=None):
        features = inputs if self.conv is None else self.conv(inputs)
        outputs = keras.ops.cast(self.projection(features), "float32")
        if like is not None:
            outputs = resize_bilinear(outputs, like)
        return self.task.activation(outputs)

    def compute_output_spec(self, inputs, like=None):
        size = (inputs if like is None else like).shape[1:3]
        return keras.KerasTensor((inputs.shape[0], *size, self.task.channels), dtype="float32")

    def get_config(self):
        return {
            **super().get_config(),
            "task": keras.saving.serialize_keras_object(self.task),
            "filters": self.filters,
        }

    @classmethod
    def from_config(cls, config):
        task = keras.saving.deserialize_keras_object(config["task"])
        return cls(**{**config, "task": task})
