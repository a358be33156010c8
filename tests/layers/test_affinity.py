import numpy as np
import pytest
from keras import ops

from keras_atinet.layers import Affinity, AffinityAttention, AffinityDiffusion, JointAffinity

SIZE = (3, 4)
N = 12
SHAPE = (2, *SIZE, 5)


def values(shape=SHAPE, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def cosines(features):
    pixels = features.reshape(len(features), -1, features.shape[-1]).astype("float64")
    pixels /= np.linalg.norm(pixels, axis=-1, keepdims=True)
    return pixels @ pixels.transpose(0, 2, 1)


@pytest.mark.parametrize("normalize_rows", [False, True])
def test_affinity(normalize_rows, check_layer):
    check_layer(lambda **kwargs: Affinity(normalize_rows, **kwargs), [values()], [(2, N, N)])


def test_affinity_equation(apply):
    features = values()
    plain, rows = apply(lambda x: (Affinity()(x), Affinity(True)(x)), features)
    expected = cosines(features)
    np.testing.assert_allclose(plain, expected, atol=1e-5)
    similar = np.maximum(expected, 0)
    np.testing.assert_allclose(rows, similar / similar.sum(-1, keepdims=True), atol=1e-5)


def test_a_pixel_without_features_is_similar_to_none(apply, gradient):
    features = values()
    features[0, 1, 2] = 0
    rows = apply(Affinity(True), features)
    total = rows.sum(-1)
    assert not rows[0, 6].any() and not rows[0, :, 6].any() and not total[0, 6]
    np.testing.assert_allclose(np.delete(total.ravel(), 6), 1, atol=1e-5)
    weight = values((2, N, N), 1)
    change = gradient(lambda x: ops.sum(ops.multiply(Affinity(True)(x), weight)), features)
    assert np.isfinite(change).all() and not change[0, 1, 2].any() and change[0, 0, 0].all()
    half = apply(Affinity(True, dtype="mixed_float16"), features)
    np.testing.assert_allclose(half, rows, atol=0.01)


def test_many_pixels_in_half_precision(apply):
    features = np.abs(values((1, 60, 50, 2)))
    layer = Affinity(True, dtype="mixed_float16")
    total = apply(lambda x: ops.sum(ops.cast(layer(x), "float32"), -1), features)
    np.testing.assert_allclose(total, 1, atol=0.01)


@pytest.mark.parametrize("num_features", [2, 3])
def test_diffusion(num_features, check_layer):
    inputs = [values((2, N, N), seed) for seed in range(3)]
    inputs += [values(seed=seed) for seed in range(num_features)]
    check_layer(
        lambda **kwargs: AffinityDiffusion(0.2, 2, **kwargs),
        inputs,
        [SHAPE] * num_features,
        call=lambda layer, *x: layer(list(x[:3]), list(x[3:])),
    )


@pytest.mark.parametrize(("num_matrices", "steps"), [(3, 1), (2, 3), (1, 2)])
def test_diffusion_equation(num_matrices, steps, apply):
    layer = AffinityDiffusion(0.3, steps)
    matrices = [values((2, N, N), seed) for seed in range(num_matrices)]
    features = [values(seed=seed) for seed in (7, 8)][:num_matrices]
    layer.build([m.shape for m in matrices], [x.shape for x in features])
    assert len(layer.weights) == (num_matrices > 1)
    share = np.full((len(features), num_matrices), 1 / num_matrices)
    for logits in (np.zeros_like(share), values(share.shape)):  # uniform at first
        if layer.weights:
            layer.logits.assign(logits)
            share = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        actual = apply(
            lambda *x: layer(list(x[:num_matrices]), list(x[num_matrices:])), *matrices, *features
        )
        for i, x in enumerate(features):
            mixed = sum(w * m for w, m in zip(share[i], matrices, strict=True))
            h = first = x.reshape(2, N, 5)
            for _ in range(steps):
                h = 0.3 * mixed @ h + 0.7 * first
            np.testing.assert_allclose(actual[i], h.reshape(SHAPE), rtol=1e-4, atol=1e-4)


def test_joint_affinity(check_layer):
    check_layer(
        lambda **kwargs: JointAffinity(SIZE, **kwargs),
        [values((2, N, N), seed) for seed in range(2)],
        [(2, N, N)],
        call=lambda layer, *matrices: layer(list(matrices)),
    )


def grouped_convolution(inputs, kernel, bias, groups):
    """3x3 with zero padding; `(batch, channels, height, width)` and `(out, in / groups, 3, 3)`."""
    batch, _, height, width = inputs.shape
    padded = np.pad(inputs, [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    windows = windows.reshape(batch, groups, -1, height, width, 3, 3)
    kernel = kernel.reshape(groups, -1, *kernel.shape[1:])
    outputs = np.einsum("bgihwpq,goipq->bgohw", windows, kernel)
    return outputs.reshape(batch, -1, height, width) + bias[:, None, None]


@pytest.mark.parametrize("num_tasks", [1, 3])
def test_joint_affinity_is_a_grouped_convolution(num_tasks, apply):
    """Of the tasks' maps, one channel for each pixel, interleaved channel by channel."""
    matrices = [cosines(values(seed=seed)).astype("float32") for seed in range(num_tasks)]
    maps = np.stack([m.reshape(2, N, *SIZE) for m in matrices], axis=2)
    kernel, bias = values((N, num_tasks, 3, 3), 5), values((N,), 6)
    expected = grouped_convolution(maps.reshape(2, -1, *SIZE), kernel, bias, N)

    layer = JointAffinity(SIZE)
    layer.build([m.shape for m in matrices])
    layer.kernel.assign(kernel.transpose(2, 3, 1, 0))
    layer.bias.assign(bias)
    joint = apply(lambda *m: layer(list(m)), *matrices)
    np.testing.assert_allclose(
        joint, expected.reshape(2, N, N).transpose(0, 2, 1), rtol=1e-4, atol=1e-4
    )


def test_attention(check_layer):
    inputs = [values((2, N, N)), values(seed=1), values(seed=2)]
    check_layer(lambda **kwargs: AffinityAttention(0.3, **kwargs), inputs, [SHAPE])


def test_attention_equation(apply):
    joint, v, f = values((2, N, N)), values(seed=1), values(seed=2)
    actual = apply(AffinityAttention(0.3), joint, v, f)
    attended = np.einsum("bji,bjc->bic", joint, v.reshape(2, N, 5)).reshape(SHAPE)
    np.testing.assert_allclose(actual, 0.3 * attended + 0.7 * f, rtol=1e-4, atol=1e-4)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AffinityDiffusion(beta=1.5), r"`beta` of `AffinityDiffusion`.*1\.5"),
        (lambda: AffinityDiffusion(steps=0), "`steps` .* at least 1.*steps=0"),
        (lambda: AffinityDiffusion(steps=True), "steps=True"),
        (lambda: AffinityAttention(gamma=-1), "`gamma` of `AffinityAttention`.*-1"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
