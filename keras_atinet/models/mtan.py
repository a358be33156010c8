import keras

from keras_atinet.models.arguments import check_remat, standardize_arguments
from keras_atinet.models.attended import attended_features, attended_network
from keras_atinet.models.attention import attention_decoder, attention_encoder
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import DEFAULT_FILTERS, DEFAULT_INPUT_SHAPE


@keras.saving.register_keras_serializable(package="keras_atinet")
class MTAN(MultiTaskModel):
    """Multi-Task Attention Network: ATI-Net without distillation.

    An encoder and a decoder shared by all tasks, attention masks and a head per task.

    Args:
        tasks, input_shape, filters, dtype, remat, encoder, **encoder_options: as for `ATINet`.
        name: str. Defaults to `"mtan"`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: as for `ATINet`.

    Example:
        >>> model = keras_atinet.MTAN(tasks=("segmentation", "depth"), input_shape=(96, 128, 3))

    Reference: Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="mtan",
        remat=None,
        encoder=None,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "MTAN", encoder
        )
        check_remat(remat, "MTAN")

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        network = attended_network(inputs, encoder, filters, dtype=dtype)
        features, down = attention_encoder(network, tasks, dtype=dtype)
        upsampled, decoded = network.decoder(network.bottleneck)
        features, up = attention_decoder(features, network, upsampled, decoded, tasks, dtype=dtype)
        image = inputs if encoder else None
        outputs = prediction_heads(features, tasks, filters, dtype=dtype, image=image)

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "remat": remat,
            "encoder": encoder,
        }
        shared = attended_features(network, upsampled, decoded)
        segments = [*down, *up] if remat == "attention" else []
        super().__init__(inputs, outputs, tasks, config, shared, segments, dtype=dtype, name=name)
