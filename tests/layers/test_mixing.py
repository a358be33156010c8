import keras
import numpy as np
import pytest

from keras_atinet.layers import CrossStitchUnit, NDDRUnit, fold

SHAPE = (2, 4, 6, 3)


def values(shape=SHAPE, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def arrays(*variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


@pytest.mark.parametrize(
    "make",
    [
        lambda **kwargs: CrossStitchUnit(1, **kwargs),
        lambda **kwargs: CrossStitchUnit(0, per_channel=False, **kwargs),
        lambda **kwargs: NDDRUnit(1, **kwargs),
    ],
)
def test_units(check_layer, make):
    features = [values(seed=seed) for seed in range(3)]
    check_layer(make, features, [SHAPE], call=lambda layer, *features: layer(list(features)))


@pytest.mark.parametrize("per_channel", [True, False])
def test_cross_stitch_equation(apply, randomize, per_channel):
    layer = CrossStitchUnit(2, per_channel)
    layer.build([SHAPE] * 3)
    (first,) = arrays(layer.alpha)
    assert first.shape == ((3, 3) if per_channel else (3,))
    np.testing.assert_allclose(first.reshape(3, -1)[:, 0], [0.05, 0.05, 0.9], rtol=1e-6)

    randomize(layer)
    features = [values(seed=seed) for seed in range(3)]
    (alpha,) = arrays(layer.alpha)
    expected = sum(a * x for a, x in zip(alpha, features, strict=True))
    for function in (layer, fold(layer)):
        actual = apply(lambda *x, f=function: f(list(x)), *features)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_nddr_equation(apply, randomize):
    layer = NDDRUnit(0)
    layer.build([SHAPE] * 3)
    identity = np.eye(3)
    expected = np.concatenate([0.9 * identity, 0.05 * identity, 0.05 * identity])
    np.testing.assert_allclose(arrays(layer.kernel)[0][0, 0], expected, rtol=1e-6)
    assert layer.norm.momentum == 0.95

    randomize(layer)
    features = [values(seed=seed) for seed in range(3)]
    norm = layer.norm
    kernel, gamma, beta = arrays(layer.kernel, norm.gamma, norm.beta)
    mean, variance = arrays(norm.moving_mean, norm.moving_variance)
    x = np.concatenate(features, axis=-1) @ kernel[0, 0]
    expected = np.maximum(gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta, 0)
    assert (expected == 0).any() and (expected > 0).any()
    for function in (layer, fold(layer)):
        actual = apply(lambda *x, f=function: f(list(x)), *features)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.one_backend
@pytest.mark.parametrize("unit", [CrossStitchUnit, NDDRUnit])
def test_of_one_task_and_of_a_task_that_is_not_there(unit):
    layer = unit(0)
    layer.build([SHAPE])
    weight = arrays(layer.trainable_weights[0])[0]
    np.testing.assert_array_equal(
        weight.reshape(-1, 3)[0], np.ones(3) if len(weight.shape) == 2 else [1, 0, 0]
    )
    for own in (-1, 2):
        with pytest.raises(ValueError, match=rf"`own` of `{unit.__name__}`.*own={own}, with 2"):
            unit(own).build([SHAPE] * 2)
