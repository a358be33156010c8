import keras
import numpy as np
import pytest

from keras_atinet.layers import TaskAttentionalModule

SHAPE = (2, 5, 7, 3)
COARSE = (2, 3, 4, 6)


def values(shape=SHAPE, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def test_task_attentional_module(check_layer):
    check_layer(
        TaskAttentionalModule,
        [values(), values(seed=1), values(COARSE)],
        [SHAPE],
        call=lambda layer, a, b, like: layer([a, b], like=like),
    )


def gate(x, conv):
    kernel, bias = map(keras.ops.convert_to_numpy, conv.weights)
    return 1 / (1 + np.exp(-(x @ kernel[0, 0] + bias)))


def resized(x, height, width):
    def shares(before, after):
        position = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
        return np.maximum(0, 1 - abs(position[:, None] - np.arange(before)))

    _, rows, columns, _ = x.shape
    return np.einsum("ih,jw,bhwc->bijc", shares(rows, height), shares(columns, width), x)


def test_task_attentional_module_equation(apply, randomize):
    layer = TaskAttentionalModule()
    layer.build([SHAPE, SHAPE], COARSE)
    randomize(layer)
    layer.mask.kernel.assign(0.05 * values((1, 1, 3, 3)))  # or it is 1 everywhere

    def block(x, name):
        return apply(getattr(layer, name), x.astype("float32"))

    def join(*tensors):
        return np.concatenate(tensors, axis=-1)

    a, b = values(), values(seed=1)
    balance = gate(join(a, b), layer.balance)
    fused = block(join(balance * a, (1 - balance) * b), "fusion")
    x = resized(fused, 3, 4)
    for around in layer.surroundings:
        x = apply(around, x.astype("float32"))
    mask = gate(resized(x, 5, 7), layer.mask)
    assert min(balance.std(), mask.std()) > 0.05
    expected = block(join((1 + mask) * a, (1 + mask) * b), "output_block")
    actual = apply(lambda a, b, like: layer([a, b], like=like), a, b, values(COARSE))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_states_of_two_shapes():
    with pytest.raises(ValueError, match=r"one shape.*\(2, 5, 7, 4\)"):
        TaskAttentionalModule().build([SHAPE, (2, 5, 7, 4)], COARSE)
