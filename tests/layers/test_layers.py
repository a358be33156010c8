import keras
import numpy as np
import pytest

from keras_atinet import SemanticSegmentation, SurfaceNormals
from keras_atinet.layers import (
    AttentionMask,
    BilinearResizing,
    BilinearUpSampling2D,
    BottleneckBlock,
    Conv2D,
    ConvBlock,
    MaxPooling2DWithArgmax,
    MaxUnpooling2D,
    PredictionHead,
    ResidualBlock,
)

SHAPE = (2, 4, 6, 3)


def values(shape=SHAPE, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def conv2d(x, conv):
    kernel, bias = map(keras.ops.convert_to_numpy, (conv.kernel, conv.bias))
    pad, size = kernel.shape[0] // 2, kernel.shape[:2]
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))
    return np.einsum("bhwcij,ijco->bhwo", windows, kernel) + bias


def batch_norm(x, norm, statistics=None):
    gamma, beta, mean, variance = map(
        keras.ops.convert_to_numpy,
        (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance),
    )
    mean, variance = statistics or (mean, variance)
    return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def built(layer, randomize, shape=SHAPE):
    layer.build(shape)
    return randomize(layer)


def test_conv_block(check_layer):
    check_layer(lambda **kwargs: ConvBlock(5, **kwargs), [values()], [(2, 4, 6, 5)])


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_conv_block_equation(apply, randomize, kernel_size):
    layer = built(ConvBlock(5, kernel_size), randomize)
    expected = np.maximum(batch_norm(conv2d(values(), layer.conv), layer.norm), 0)
    assert (expected == 0).any() and (expected > 0).any()
    np.testing.assert_allclose(apply(layer, values()), expected, rtol=1e-5, atol=1e-5)


def test_conv_block_in_training_uses_and_records_the_statistics_of_the_batch(apply, randomize):
    layer = built(ConvBlock(5), randomize)
    trainable, non_trainable = (
        [weight.value for weight in weights]
        for weights in (layer.trainable_variables, layer.non_trainable_variables)
    )

    def forward(x):
        outputs, state = layer.stateless_call(trainable, non_trainable, x, training=True)
        return outputs, dict(zip(names, state, strict=True))

    names = [weight.name for weight in layer.non_trainable_variables]
    outputs, after = apply(forward, values())
    hidden = conv2d(values(), layer.conv)
    mean, variance = hidden.mean(axis=(0, 1, 2)), hidden.var(axis=(0, 1, 2))
    expected = np.maximum(batch_norm(hidden, layer.norm, (mean, variance)), 0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)
    before = keras.ops.convert_to_numpy(layer.norm.moving_mean)
    np.testing.assert_allclose(
        after["moving_mean"], 0.9 * before + 0.1 * mean, rtol=1e-4, atol=1e-5
    )


def test_convolution_of_a_list_sees_channels_side_by_side(apply, randomize):
    layer = Conv2D(5, 3)
    symbolic = [keras.Input((4, 6, 2)), keras.Input((4, 6, 1))]
    assert layer(symbolic).shape == (None, 4, 6, 5)
    randomize(layer)
    x = values()
    parts = apply(lambda *parts: layer(list(parts)), x[..., :2], x[..., 2:])
    np.testing.assert_allclose(parts, conv2d(x, layer), rtol=1e-5, atol=1e-5)


def test_kernels_start_glorot_normal_and_biases_zero():
    layer = ConvBlock(64)
    layer.build((None, 4, 4, 32))
    kernel, bias = map(keras.ops.convert_to_numpy, (layer.conv.kernel, layer.conv.bias))
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * (32 + 64))), rel=0.05)
    assert not bias.any()


@pytest.mark.parametrize("block", [ResidualBlock, BottleneckBlock])
def test_residual_blocks(check_layer, block):
    check_layer(lambda **kwargs: block(8, **kwargs), [values()], [(2, 4, 6, 8)])


@pytest.mark.parametrize("block", [ResidualBlock, BottleneckBlock])
@pytest.mark.parametrize("channels", [8, 3])
def test_residual_blocks_equation(apply, randomize, block, channels):
    x = values((2, 4, 6, channels))
    layer = built(block(8), randomize, x.shape)
    widths = {ResidualBlock: [8], BottleneckBlock: [2, 2]}
    assert [part.filters for part in layer.blocks] == widths[block]
    for norm in (*(part.norm for part in layer.blocks), layer.norm):
        norm.beta.assign(norm.beta - 1)  # or nothing would be below 0
    hidden, shortcut = x, x
    for part in layer.blocks:
        hidden = np.maximum(batch_norm(conv2d(hidden, part.conv), part.norm), 0)
    hidden = batch_norm(conv2d(hidden, layer.conv), layer.norm)
    if channels != 8:
        shortcut = batch_norm(conv2d(x, layer.shortcut_conv), layer.shortcut_norm)
    expected = np.maximum(hidden + shortcut, 0)
    assert (expected == 0).any() and (expected > 0).any()
    np.testing.assert_allclose(apply(layer, x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.one_backend
def test_a_residual_block_of_a_list_sees_channels_side_by_side(apply, randomize):
    x = values((2, 4, 6, 8))
    layer = built(BottleneckBlock(8), randomize, [(2, 4, 6, 5), (2, 4, 6, 3)])
    hidden = x
    for part in layer.blocks:
        hidden = np.maximum(batch_norm(conv2d(hidden, part.conv), part.norm), 0)
    hidden = batch_norm(conv2d(hidden, layer.conv), layer.norm)
    shortcut = batch_norm(conv2d(x, layer.shortcut_conv), layer.shortcut_norm)
    parts = apply(lambda *parts: layer(list(parts)), x[..., :5], x[..., 5:])
    np.testing.assert_allclose(parts, np.maximum(hidden + shortcut, 0), rtol=1e-5, atol=1e-5)


def test_attention_mask(check_layer):
    check_layer(lambda **kwargs: AttentionMask(5, **kwargs), [values()], [(2, 4, 6, 5)])


def test_attention_mask_equation(apply, randomize):
    layer = built(AttentionMask(5), randomize)
    hidden = batch_norm(conv2d(10 * values(), layer.block.conv), layer.block.norm)
    expected = sigmoid(batch_norm(conv2d(np.maximum(hidden, 0), layer.conv), layer.norm))
    mask = apply(layer, 10 * values())
    np.testing.assert_allclose(mask, expected, rtol=1e-5, atol=1e-5)
    assert 0 <= mask.min() < 0.7 and 0.9 < mask.max() <= 1


def test_max_pooling_with_argmax(check_layer):
    shapes = [(2, 2, 3, 3)] * 2
    check_layer(MaxPooling2DWithArgmax, [values()], shapes, dtypes=[None, "uint8"])


@pytest.mark.parametrize("shape", [(2, 5, 6, 3), (2, 4, 7, 3)])
def test_pooling_refuses_odd_sizes(shape):
    with pytest.raises(ValueError, match=r"even height and width.*Received"):
        MaxPooling2DWithArgmax()(keras.Input(batch_shape=shape))


def test_max_unpooling(check_layer):
    argmax = np.random.RandomState(0).randint(0, 4, SHAPE).astype("uint8")
    check_layer(MaxUnpooling2D, [values(), argmax], [(2, 8, 12, 3)])


@pytest.mark.parametrize("shape", [(2, 4, 6, 2), (2, 4, 3, 3)])
def test_unpooling_refuses_an_argmax_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"one shape.*Received"):
        MaxUnpooling2D()(
            keras.Input(batch_shape=SHAPE), keras.Input(batch_shape=shape, dtype="uint8")
        )


def test_unpooling_undoes_pooling(apply):
    positive = np.abs(values()) + 0.1
    pooling, unpooling = MaxPooling2DWithArgmax(), MaxUnpooling2D()
    unpooled = apply(lambda x: unpooling(*pooling(x)), positive)
    windows = positive.reshape(2, 2, 2, 3, 2, 3)
    maxima = windows.max(axis=(2, 4), keepdims=True)
    expected = np.where(windows == maxima, windows, 0).reshape(SHAPE)
    np.testing.assert_array_equal(unpooled, expected)


def test_bilinear_upsampling(check_layer):
    check_layer(BilinearUpSampling2D, [values()], [(2, 8, 12, 3)])


def test_bilinear_resizing(check_layer):
    check_layer(BilinearResizing, [values(), values((2, 5, 13, 1))], [(2, 5, 13, 3)])


@pytest.mark.parametrize("task", [SemanticSegmentation(5), SurfaceNormals()], ids=lambda t: t.name)
def test_prediction_head(check_layer, task):
    shape = (2, 4, 6, task.channels)
    make = lambda **kwargs: PredictionHead(task, 4, **kwargs)  # noqa: E731
    check_layer(make, [values()], [shape], dtypes=["float32"])


def test_prediction_head_equation(apply, randomize):
    layer = built(PredictionHead(SurfaceNormals(), 4), randomize)
    hidden = conv2d(conv2d(values(), layer.conv), layer.projection)
    assert (hidden < 0).any()
    normals = apply(layer, values())
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-6)
    expected = hidden / np.linalg.norm(hidden, axis=-1, keepdims=True)
    np.testing.assert_allclose(normals, expected, atol=1e-4)


def test_prediction_head_of_a_projection_alone(apply, randomize):
    layer = built(PredictionHead(SemanticSegmentation(5)), randomize)
    expected = conv2d(values(), layer.projection)
    np.testing.assert_allclose(apply(layer, values()), expected, rtol=1e-5, atol=1e-5)


def test_prediction_head_resizes_before_the_activation(apply, randomize):
    layer = built(PredictionHead(SurfaceNormals(), 4), randomize)
    hidden = conv2d(conv2d(values(), layer.conv), layer.projection)
    normals = apply(layer, values(), np.zeros((2, 8, 12, 3), "float32"))
    # Between two pixels: the direction of their mean, which a mean of directions is not.
    corner = np.einsum("bijc,i,j->bc", hidden[:, :2, :2], [0.75, 0.25], [0.75, 0.25])
    expected = corner / np.linalg.norm(corner, axis=-1, keepdims=True)
    assert normals.shape == (2, 8, 12, 3)
    np.testing.assert_allclose(normals[:, 1, 1], expected, atol=1e-4)


def test_prediction_head_refuses_a_name():
    with pytest.raises(ValueError, match="Received: task='depth'"):
        PredictionHead("depth", 4)
