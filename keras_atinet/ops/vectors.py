import keras
from keras import ops

_SHORTEST = 1e-12


def unit_vector(inputs):
    """Scales vectors to length 1; a zero vector stays zero and gets no gradient.

    `outputs = inputs / |inputs|` where `|inputs| > 1e-12`, else 0; the norm taken over the last
    axis.

    Args:
        inputs: float tensor `(..., channels)`.

    Returns:
        Tensor of the same shape and dtype.
    """
    # Half precision holds neither 1e-24 nor the square of 1000.
    values = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    squared_length = ops.sum(ops.square(values), axis=-1, keepdims=True)
    # A pixel with no feature at all has a zero vector, which has no direction to be turned from:
    # a finite gradient of 1e12 would be the end of an optimizer's moments.
    is_long = squared_length > _SHORTEST**2
    # Tensors, because on PyTorch Keras would copy Python numbers to the device.
    safe = ops.where(is_long, squared_length, ops.ones_like(squared_length))
    inverse = ops.where(is_long, ops.rsqrt(safe), ops.zeros_like(safe))
    return ops.cast(values * inverse, inputs.dtype)
