import keras
import numpy as np
import pytest

from keras_atinet.layers import FeaturePropagation, SqueezeExcitation, fold
from keras_atinet.layers.propagation import softmax_of

SHAPE = (2, 4, 6, 3)
one_backend = pytest.mark.one_backend
TASKS = ("segmentation", "depth", "normal")


def values(shape=SHAPE, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def features(num_tasks=3):
    return [values(seed=seed) for seed in range(num_tasks)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(arrays):
    powers = np.exp(np.stack(arrays) - np.max(arrays, axis=0))
    return powers / powers.sum(axis=0)


def call_with_list(layer, *tensors):
    return layer(list(tensors))


def folded(layer, inputs):
    symbolic = keras.tree.map_structure(lambda x: keras.Input(batch_shape=x.shape), inputs)
    return keras.Model(symbolic, fold(layer)(symbolic))


@one_backend
def test_squeeze_excitation(check_layer):
    check_layer(lambda **kwargs: SqueezeExcitation(2, **kwargs), [values()], [SHAPE])


def test_squeeze_excitation_equation(apply, randomize):
    layer = SqueezeExcitation()
    layer.build((None, None, None, 96))
    assert layer.squeeze.filters == 6
    layer = SqueezeExcitation()
    layer.build(SHAPE)
    randomize(layer)
    assert layer.squeeze.filters == 4
    weights = [keras.ops.convert_to_numpy(weight) for weight in layer.weights]
    first, first_bias, second, second_bias = (np.squeeze(weight) for weight in weights)
    x = 3 * values()
    hidden = np.maximum(x.mean(axis=(1, 2)) @ first + first_bias, 0)
    expected = x * sigmoid(hidden @ second + second_bias)[:, None, None]
    for function in (layer, folded(layer, x)):
        np.testing.assert_allclose(apply(function, x), expected, rtol=1e-5, atol=1e-5)


def test_softmax_of_a_list(apply, gradient):
    logits = [100 * x for x in features()]
    masks = apply(lambda *x: softmax_of(x), *logits)
    np.testing.assert_allclose(masks, softmax(logits), atol=1e-6)
    np.testing.assert_allclose(sum(masks), 1, rtol=1e-6)

    def loss(x):
        x = [x[0], x[1]]
        return keras.ops.sum(softmax_of(x)[0])

    found = gradient(loss, np.array([[0.5, 1.0], [0.25, 1.0]], "float32"))
    first = sigmoid(np.array([0.25, 0.0]))
    np.testing.assert_allclose(found, [first * (1 - first), -first * (1 - first)], rtol=1e-5)


@one_backend
def test_feature_propagation(check_layer):
    check_layer(
        lambda **kwargs: FeaturePropagation(TASKS, **kwargs),
        features(),
        [SHAPE] * 3,
        call=call_with_list,
    )


@pytest.mark.parametrize(
    "num_tasks", [2, pytest.param(1, marks=one_backend), pytest.param(5, marks=one_backend)]
)
def test_feature_propagation_equation(apply, randomize, num_tasks):
    layer = FeaturePropagation("abcde"[:num_tasks])
    layer.build([SHAPE] * num_tasks)
    randomize(layer)
    for seed, mask in enumerate(layer.masks):  # or the masks are much alike
        mask.kernel.assign(0.05 * values(mask.kernel.shape, seed))
    x = features(num_tasks)

    def forward(*x):
        hidden = list(x)
        for block in layer.mask_blocks:
            hidden = block(hidden)
        logits = [mask(hidden) for mask in layer.masks]
        return layer(list(x)), logits

    outputs, logits = apply(forward, *x)
    masks = softmax(logits) if logits else [1]
    attended = [mask * feature for mask, feature in zip(masks, x, strict=True)]
    shared = apply(lambda *x: layer.reduction(list(x)), *attended)
    gated = apply(lambda x: [gate(x) for gate in layer.gates], shared)
    assert len(outputs) == len(gated) == num_tasks
    assert num_tasks == 1 or np.std(masks, axis=0).mean() > 0.1
    for output, part, feature in zip(outputs, gated, x, strict=True):
        np.testing.assert_allclose(output, part + feature, rtol=1e-4, atol=1e-4)
    inference = folded(layer, x)
    again = apply(lambda *x: keras.tree.flatten(inference(list(x))), *x)
    for output, expected in zip(again, outputs, strict=True):
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)
