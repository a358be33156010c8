"""What the package relies on in Keras beyond its documented interface."""

import keras
import numpy as np
import pytest

from keras_atinet import keras_internals


@pytest.fixture
def weights():
    return [keras.Variable(np.ones(3, "float32")), keras.Variable(np.ones((2, 2), "float32"))]


def array(variable):
    return keras.ops.convert_to_numpy(variable)


def test_untrack():
    layer, sublayer = keras.layers.Layer(), keras.layers.Dense(2)
    layer.sublayer = sublayer
    sublayer.build((None, 3))
    assert len(layer.weights) == 2
    keras_internals.untrack(layer, sublayer)
    assert layer.weights == []


def test_branch_order():
    called = []

    class Note(keras.layers.Layer):
        def call(self, inputs):
            called.append(self.name)
            return inputs + 1.0

    names = ("depth", "segmentation", "normal", "edges")
    image = keras.Input((2,))
    shared = keras.layers.Dense(2)
    outputs = {}
    for name in names:
        outputs[name] = shared(Note(name=name)(image))
    model = keras.Model(image, outputs)
    called.clear()
    model(np.ones((1, 2), "float32"))
    assert called == keras_internals.branch_order(names)


def test_accumulation(weights):
    optimizer = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)
    optimizer.build(weights)
    assert keras_internals.optimizer_weights(optimizer) == weights
    for _ in range(3):
        optimizer.apply([keras.ops.ones(3), keras.ops.ones((2, 2))])
    assert int(keras_internals.step_count(optimizer)) == 3
    for gradient in keras_internals.accumulated_gradients(optimizer):
        np.testing.assert_allclose(array(gradient), 1.0)
    np.testing.assert_allclose(array(weights[0]), 0.0)


def test_moving_averages(weights):
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
    optimizer.build(weights)
    optimizer.apply([keras.ops.ones(3), keras.ops.ones((2, 2))])
    averages = keras_internals.moving_averages(optimizer)
    assert [average.shape for average in averages] == [(3,), (2, 2)]
    # The average starts from the first weights that it sees, those after the step.
    np.testing.assert_allclose(array(averages[0]), 0.0, atol=1e-6)


def test_empty_gradients(weights):
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(weights)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        gradients, variables = keras_internals.without_empty_gradients(
            optimizer, [None, keras.ops.ones((2, 2))], weights
        )
    assert len(gradients) == 1 and variables == [weights[1]]


def test_weight_decay(weights):
    source = keras.optimizers.SGD(1.0, weight_decay=0.5)
    source.exclude_from_weight_decay(var_list=weights)
    target = keras.optimizers.SGD(1.0, weight_decay=0.5)
    keras_internals.copy_weight_decay_exclusions(source, target)
    keras_internals.allow_nothing_to_decay(target)
    target.build(weights)
    target.apply([keras.ops.ones(3), keras.ops.ones((2, 2))])
    # Without decay: 1 - 1, not 1 - 1 - 0.5.
    np.testing.assert_allclose(array(weights[0]), 0.0, atol=1e-6)
