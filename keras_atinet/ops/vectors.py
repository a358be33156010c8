import keras
from keras import ops


def unit_vector(inputs):
    """Scales vectors to length 1; a zero vector stays zero, and its gradient is finite.

    `outputs = inputs / max(|inputs|, 1e-12)`, the norm taken over the last axis.

    Args:
        inputs: float tensor `(..., channels)`.

    Returns:
        Tensor of the same shape and dtype.
    """
    # Half precision holds neither 1e-24 nor the square of 1000.
    values = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    squared_length = ops.sum(ops.square(values), axis=-1, keepdims=True)
    return ops.cast(values * ops.rsqrt(ops.maximum(squared_length, 1e-24)), inputs.dtype)
