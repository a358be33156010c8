import keras
import numpy as np
import pytest
from scipy import signal

from keras_atinet.ops import conv, depthwise_conv


def reference(inputs, kernel, bias):
    """The sum itself, by scipy, in float64."""
    outputs = np.empty((*inputs.shape[:-1], kernel.shape[-1]))
    for b, image in enumerate(inputs.astype("float64")):
        for o in range(kernel.shape[-1]):
            outputs[b, ..., o] = bias[o] + sum(
                signal.correlate2d(image[..., c], kernel[..., c, o], "same")
                for c in range(kernel.shape[2])
            )
    return outputs


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (3, 5)])
@pytest.mark.parametrize("height", [6, 16])
def test_value_and_gradients(size, height, apply, gradient):
    random = np.random.default_rng(0)
    inputs = random.normal(size=(2, height, 9, 3)).astype("float32")
    kernel = random.normal(size=(*size, 3, 4)).astype("float32")
    bias = random.normal(size=4).astype("float32")
    weight = random.normal(size=(2, height, 9, 4)).astype("float32")
    np.testing.assert_allclose(
        apply(conv, inputs, kernel, bias),
        reference(inputs, kernel, bias),
        rtol=1e-4,
        atol=1e-4,
    )
    # The function is linear in each argument: its gradient is what a change of it brings.
    arguments = [inputs, kernel, bias]
    for k, value in enumerate(arguments):
        others = [keras.ops.convert_to_tensor(argument) for argument in arguments]

        def score(value, k=k, others=others):
            outputs = conv(*others[:k], value, *others[k + 1 :])
            return keras.ops.sum(keras.ops.multiply(outputs, weight))

        change = random.normal(size=value.shape)
        changed = [*arguments[:k], value + change, *arguments[k + 1 :]]
        brought = ((reference(*changed) - reference(*arguments)) * weight).sum()
        np.testing.assert_allclose((gradient(score, value) * change).sum(), brought, rtol=1e-3)


def test_inputs_side_by_side(apply):
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(2, 4, 6, n)).astype("float32") for n in (3, 2))
    kernel = random.normal(size=(1, 1, 5, 4)).astype("float32")
    bias = random.normal(size=4).astype("float32")
    outputs = apply(lambda x, y: conv([x, y], kernel, bias), x, y)
    expected = reference(np.concatenate([x, y], axis=-1), kernel, bias)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)


def test_each_channel_by_itself(apply, gradient):
    random = np.random.default_rng(0)
    shape = (2, 4, 6, 3)
    inputs, weight = (random.normal(size=shape).astype("float32") for _ in range(2))
    kernel = random.normal(size=(3, 3, 3)).astype("float32")
    expected = np.stack(
        [
            [signal.correlate2d(image[..., c], kernel[..., c], "same") for c in range(3)]
            for image in inputs
        ]
    )
    outputs = apply(depthwise_conv, inputs, kernel)
    np.testing.assert_allclose(outputs, np.moveaxis(expected, 1, -1), rtol=1e-4, atol=1e-4)

    def score(x, kernel):
        return keras.ops.sum(keras.ops.multiply(depthwise_conv(x, kernel), weight))

    by_inputs = gradient(lambda x: score(x, keras.ops.convert_to_tensor(kernel)), inputs)
    by_kernel = gradient(lambda k: score(keras.ops.convert_to_tensor(inputs), k), kernel)
    # Linear in each: the product of an argument and its gradient is the value.
    value = (outputs * weight).sum()
    np.testing.assert_allclose(
        [(by_inputs * inputs).sum(), (by_kernel * kernel).sum()], value, rtol=1e-3
    )
