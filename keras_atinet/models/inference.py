"""From a trained network to an equal one for inference."""

import keras

from keras_atinet.layers.folding import fold
from keras_atinet.models.arguments import check_divisible


def for_inference(model, input_shape=None, batch_size=None, dtype=None):
    """See `MultiTaskModel.for_inference`."""
    input_shape = tuple(model.input_shape[1:] if input_shape is None else input_shape)
    channels = model.input_shape[-1]
    if len(input_shape) != 3 or input_shape[-1] != channels:
        raise ValueError(
            f"`for_inference` needs `input_shape=(height, width, {channels})`. "
            f"Received: input_shape={input_shape}. Height and width may be None, for any."
        )
    check_divisible(input_shape, "for_inference")
    images = keras.Input(input_shape, batch_size, name="image")
    return keras.models.clone_model(
        # Without the losses, metrics and optimizer that a copy of the network would bring.
        keras.Model(model.input, model.output, name=model.name),
        input_tensors=images,
        clone_function=lambda layer: fold(layer, dtype),
    )
