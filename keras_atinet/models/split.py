import keras

from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import DEFAULT_FILTERS, DEFAULT_INPUT_SHAPE
from keras_atinet.models.shared_features import shared_features


@keras.saving.register_keras_serializable(package="keras_atinet")
class Split(MultiTaskModel):
    """Hard parameter sharing: one encoder and decoder, by default SegNet's, then a head per task.

    Args:
        tasks, input_shape, filters, dtype: as for `ATINet`.
        deep: bool, doubles every ConvBlock, so that the network has about as many parameters as
            the others; this is the paper's baseline. On SegNet only. Defaults to `False`.
        name: str. Defaults to `"split"`.
        encoder, **encoder_options: as for `ATINet`.
        decoder: str, on an `encoder`: `"unet"` (from the deepest level to the finest),
            `"segformer"` (all levels at the finest one's size, the cheapest) or `"aspp"` (the
            deepest alone, with dilated convolutions). Defaults to `None`, which means `"unet"`.
        decoder_filters: its widths: of `"unet"` one int for each level but the deepest, finest
            first; of the others one. Defaults to `None`, which takes them from `filters`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: as for `ATINet`, or if there is no such decoder, its widths do not fit it, or an
            argument is for networks with an encoder, or without.

    Example:
        >>> model = keras_atinet.Split(deep=True)
        >>> model = keras_atinet.Split(encoder="resnet50", decoder="segformer")

    Reference: MTAN, Liu et al., CVPR 2019, section 4.1.2.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        deep=False,
        dtype=None,
        name="split",
        encoder=None,
        decoder=None,
        decoder_filters=None,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "Split", encoder
        )

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        x = shared_features(
            inputs, encoder, decoder, filters, decoder_filters, deep, dtype, model="Split"
        )
        image = inputs if encoder else None
        features = {task.name: x for task in tasks}
        outputs = prediction_heads(features, tasks, filters, dtype=dtype, image=image)

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "deep": deep,
            "encoder": encoder,
            "decoder": decoder,
            "decoder_filters": decoder_filters,
        }
        super().__init__(inputs, outputs, tasks, config, [x], dtype=dtype, name=name)
