import keras

from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import DEFAULT_FILTERS, DEFAULT_INPUT_SHAPE
from keras_atinet.models.shared_features import shared_features


@keras.saving.register_keras_serializable(package="keras_atinet")
class SingleTask(MultiTaskModel):
    """One encoder, decoder and head: the baseline that multi-task networks are compared with.

    Args:
        tasks: one task, as for `ATINet`. Defaults to `"segmentation"`.
        input_shape, filters, dtype: as for `ATINet`.
        name: str. Defaults to `"single_task"`.
        encoder, decoder, decoder_filters, **encoder_options: as for `Split`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict with the one prediction, float32 `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: if there is more than one task; else as for `Split`.

    Example:
        >>> model = keras_atinet.SingleTask(tasks="depth", input_shape=(96, 128, 3))

    Reference: SegNet, Badrinarayanan et al., 2017.
    """

    def __init__(
        self,
        tasks="segmentation",
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="single_task",
        encoder=None,
        decoder=None,
        decoder_filters=None,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "SingleTask", encoder
        )
        if len(tasks) != 1:
            raise ValueError(
                "`SingleTask` learns one task. "
                f"Received: tasks={[task.name for task in tasks]}. "
                "Make one network for each, or use `Split`."
            )

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        x = shared_features(
            inputs, encoder, decoder, filters, decoder_filters, dtype=dtype, model="SingleTask"
        )
        image = inputs if encoder else None
        outputs = prediction_heads({tasks[0].name: x}, tasks, filters, dtype=dtype, image=image)

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "encoder": encoder,
            "decoder": decoder,
            "decoder_filters": decoder_filters,
        }
        super().__init__(inputs, outputs, tasks, config, dtype=dtype, name=name)
