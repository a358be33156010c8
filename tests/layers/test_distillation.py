import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_atinet.layers import (
    DeconvHead,
    MultiModalDistillation,
    SelfAttention,
    TaskDistillation,
)

SHAPE = (2, 4, 6, 3)
TASKS = ("segmentation", "depth", "normal", "edge")


def values(shape=SHAPE, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def test_deconv_head(check_layer):
    check_layer(lambda **kwargs: DeconvHead((4, 3, 2), **kwargs), [values()], [(2, 4, 6, 2)])


def test_deconv_head_is_its_blocks_in_a_row(apply, randomize):
    layer = DeconvHead((4, 2))
    layer.build(SHAPE)
    randomize(layer)
    first, second = layer.blocks
    assert tuple(first.conv.kernel.shape) == (1, 1, 3, 4)
    assert tuple(second.conv.kernel.shape) == (1, 1, 4, 2)
    actual, expected = apply(lambda x: (layer(x), second(first(x))), values())
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_self_attention(check_layer):
    check_layer(SelfAttention, [values()], [SHAPE])


def test_self_attention_equation(apply, randomize):
    layer = SelfAttention()
    layer.build(SHAPE)
    randomize(layer)
    actual, message, gate = apply(lambda x: (layer(x), layer.message(x), layer.gate(x)), values())
    np.testing.assert_allclose(actual, message / (1 + np.exp(-gate)), rtol=1e-5, atol=1e-6)


def test_multi_modal_distillation(check_layer):
    check_layer(
        lambda **kwargs: MultiModalDistillation(TASKS[:3], **kwargs),
        [values(seed=seed) for seed in range(3)],
        [SHAPE] * 3,
        call=lambda layer, *features: layer(list(features)),
    )


@pytest.mark.parametrize("num_tasks", [1, 2, 3, 4])
def test_multi_modal_distillation_equation(apply, randomize, num_tasks):
    tasks = TASKS[:num_tasks]
    layer = MultiModalDistillation(tasks)
    layer.build([SHAPE] * num_tasks)
    randomize(layer)
    assert len(layer.weights) == 4 * num_tasks * (num_tasks - 1)

    def forward(*features):
        by_task = dict(zip(tasks, features, strict=True))
        messages = {
            (target, auxiliary): block(by_task[auxiliary])
            for (target, auxiliary), block in layer.attention.items()
        }
        return layer(list(features)), messages

    features = [values(seed=seed) for seed in range(num_tasks)]
    actual, messages = apply(forward, *features)
    assert set(messages) == {(t, a) for t in tasks for a in tasks if t != a}
    for target, refined, feature in zip(tasks, actual, features, strict=True):
        expected = feature + sum(m for (t, _), m in messages.items() if t == target)
        np.testing.assert_allclose(refined, expected, rtol=1e-5, atol=1e-5)
        if num_tasks == 1:
            np.testing.assert_array_equal(refined, feature)


def test_distillation_gated_by_the_receiver(check_layer):
    make = functools.partial(MultiModalDistillation, TASKS[:3], TASKS[:2], "receiver")
    features = [values(seed=seed) for seed in range(3)]
    check_layer(make, features, [SHAPE] * 2, call=lambda layer, *x: layer(list(x)))


def test_receivers_gate_and_auxiliary_tasks_only_send(apply, randomize):
    tasks, targets = TASKS[:3], (TASKS[2], TASKS[0])
    layer = MultiModalDistillation(tasks, targets, "receiver")
    layer.build([SHAPE] * 3)
    randomize(layer)
    assert set(layer.gates) == set(targets) and len(layer.messages) == 4
    features = [values(seed=seed) for seed in range(3)]

    def forward(*features):
        by_task = dict(zip(tasks, features, strict=True))
        messages = {pair: conv(by_task[pair[1]]) for pair, conv in layer.messages.items()}
        gates = {target: conv(by_task[target]) for target, conv in layer.gates.items()}
        return layer(list(features)), messages, gates

    refined, messages, gates = apply(forward, *features)
    for target, actual in zip(targets, refined, strict=True):
        message = sum(value for (receiver, _), value in messages.items() if receiver == target)
        gate = 1 / (1 + np.exp(-gates[target]))
        expected = features[tasks.index(target)] + gate * message
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def make_task_distillation(tasks=TASKS[:2], **kwargs):
    return TaskDistillation(tasks, (4, 2), **kwargs)


def test_task_distillation(check_layer):
    # The saved file has the switch on: the shared check compares every weight and the outputs.
    check_layer(make_task_distillation, [values()], [SHAPE])


@pytest.mark.parametrize("num_tasks", [1, 3])
def test_task_distillation_equation(apply, randomize, num_tasks):
    layer = make_task_distillation(TASKS[:num_tasks])
    layer.build(SHAPE)
    randomize(layer)
    assert [block.filters for block in layer.task_encoders[0].blocks] == [4, 3]

    def forward(x, share):
        refined = layer.distillation([head(x) for head in layer.deconv_heads])
        encoded = [
            encoder(feature) for encoder, feature in zip(layer.task_encoders, refined, strict=True)
        ]
        with keras.StatelessScope(state_mapping=[(layer.share, share)]):
            return layer(x), encoded

    off, encoded = apply(forward, values(), np.float32(0))
    np.testing.assert_array_equal(off, values())
    distilled = np.mean(encoded, axis=0)
    on, _ = apply(forward, values(), np.float32(1))
    np.testing.assert_allclose(on, distilled, rtol=1e-5, atol=1e-5)
    assert np.abs(on - off).max() > 0.1
    partly, _ = apply(forward, values(), np.float32(0.3))
    np.testing.assert_allclose(partly, 0.7 * values() + 0.3 * distilled, rtol=1e-5, atol=1e-5)


def test_nothing_comes_from_a_distillation_that_is_off(gradient):
    """Not even if it is not a number, neither forward nor backward."""
    layer = make_task_distillation()
    layer.build(SHAPE)
    for weight in layer.trainable_weights:
        weight.assign(np.full(weight.shape, np.nan, "float32"))
    scale = ops.convert_to_tensor(values(seed=1))
    found = gradient(lambda x: ops.sum(scale * layer(x, training=False)), values())
    np.testing.assert_array_equal(found, values(seed=1))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(values())), values())
    layer.share.assign(0.5)
    assert np.isnan(ops.convert_to_numpy(layer(values()))).all()


def test_the_switch_starts_off_and_is_not_trained():
    layer = make_task_distillation()
    layer.build(SHAPE)
    assert not layer.share.trainable and layer.share.dtype == "float32"
    assert ops.convert_to_numpy(layer.share) == 0
    assert all("share" not in weight.path for weight in layer.trainable_weights)


def test_switch_weights_survive_a_file_of_weights(tmp_path):
    def make(share):
        inputs = keras.Input(batch_shape=SHAPE)
        model = keras.Sequential([inputs, make_task_distillation(name="distillation")])
        model.get_layer("distillation").share.assign(share)
        return model

    on, off = make(0.25), make(0.0)
    on.save_weights(tmp_path / "on.weights.h5")
    off.load_weights(tmp_path / "on.weights.h5")
    assert ops.convert_to_numpy(off.get_layer("distillation").share) == 0.25
