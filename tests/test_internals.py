"""What the package relies on in Keras and PyTorch beyond their documented interfaces."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from keras_atinet import internals


@pytest.fixture
def weights():
    return [keras.Variable(np.ones(3, "float32")), keras.Variable(np.ones((2, 2), "float32"))]


def array(variable):
    return keras.ops.convert_to_numpy(variable)


def test_tensorflow_only_if_imported(monkeypatch):
    lazy = keras.utils.set_random_seed.__globals__["tf"]
    before = type(lazy)
    # As if it were installed and nothing had imported it.
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    with internals.tensorflow_only_if_imported():
        assert not lazy.available
        numbers = []
        for seed in (5, 5):
            keras.utils.set_random_seed(seed)
            numbers.append((np.random.rand(), array(keras.random.uniform((1,))).item()))
        assert numbers[0] == numbers[1]
        monkeypatch.setitem(sys.modules, "tensorflow", object())
        assert lazy.available
    assert type(lazy) is before


def test_built_shape():
    layer = keras.layers.Dense(2)
    assert internals.built_shape(layer) is None
    layer.build((3,))
    assert internals.built_shape(layer) == (3,)
    config = keras.saving.serialize_keras_object(layer)
    assert internals.built_shape(keras.saving.deserialize_keras_object(config)) == (3,)


def test_sublayers():
    class Pair(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.parts = [keras.layers.Dense(1), keras.Sequential([keras.layers.Dense(2)])]
            self.named = {"last": keras.layers.Dense(3)}

    pair = Pair()
    assert internals.sublayers(pair) == [*pair.parts, pair.named["last"]]
    assert internals.sublayers(pair.parts[0]) == []


def test_track_and_untrack():
    image = keras.Input((2,))
    model = keras.Model(image, keras.layers.Dense(1)(image))
    sublayer = keras.layers.Dense(2)
    sublayer.build((None, 3))
    for _ in range(2):
        model.sublayer = sublayer
        internals.track(model, sublayer)
        assert len(model.weights) == len(model.trainable_variables) == 4
        internals.untrack(model, sublayer)
        assert len(model.weights) == 2


def test_graph_nodes():
    image = keras.Input((4, 4, 3))
    dense = keras.layers.Dense(3)
    outputs = dense(dense(image)) + image
    nodes = internals.graph_nodes(keras.Model(image, outputs))
    assert [node.operation for node in nodes[:2]] == [dense, dense]
    assert internals.producer(outputs) is nodes[2].operation
    inputs = {id(tensor) for tensor in nodes[2].input_tensors}
    assert inputs == {id(image), id(nodes[1].outputs[0])}
    specs = {key: keras.KerasTensor((1, 9, 9, 3)) for key in inputs}
    assert [spec.shape for spec in internals.output_specs(nodes[2], specs)] == [(1, 9, 9, 3)]


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
    assert called == internals.branch_order(names)


def test_accumulation(weights):
    optimizer = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)
    optimizer.build(weights)
    assert internals.optimizer_weights(optimizer) == weights
    for _ in range(3):
        optimizer.apply([keras.ops.ones(3), keras.ops.ones((2, 2))])
    assert int(internals.step_count(optimizer)) == 3
    for gradient in internals.accumulated_gradients(optimizer):
        np.testing.assert_allclose(array(gradient), 1.0)
    np.testing.assert_allclose(array(weights[0]), 0.0)


def test_moving_averages(weights):
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
    optimizer.build(weights)
    optimizer.apply([keras.ops.ones(3), keras.ops.ones((2, 2))])
    averages = internals.moving_averages(optimizer)
    assert [average.shape for average in averages] == [(3,), (2, 2)]
    # The average starts from the first weights that it sees, those after the step.
    np.testing.assert_allclose(array(averages[0]), 0.0, atol=1e-6)


def test_empty_gradients(weights):
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(weights)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        gradients, variables = internals.without_empty_gradients(
            optimizer, [None, keras.ops.ones((2, 2))], weights
        )
    assert len(gradients) == 1 and variables == [weights[1]]


def test_weight_decay(weights):
    source = keras.optimizers.SGD(1.0, weight_decay=0.5)
    source.exclude_from_weight_decay(var_list=weights)
    target = keras.optimizers.SGD(1.0, weight_decay=0.5)
    internals.copy_weight_decay_exclusions(source, target)
    internals.allow_nothing_to_decay(target)
    target.build(weights)
    target.apply([keras.ops.ones(3), keras.ops.ones((2, 2))])
    # Without decay: 1 - 1, not 1 - 1 - 0.5.
    np.testing.assert_allclose(array(weights[0]), 0.0, atol=1e-6)


def test_torch_batch_normalization():
    if keras.backend.backend() != "torch":
        pytest.skip("PyTorch's")
    x = np.random.default_rng(0).normal(2, 3, (4, 5, 6, 7)).astype("float32")
    gamma, beta = np.float32([1, 2, 3, 4, 5]), np.float32([0, 1, 0, 1, 0])
    found = internals.torch_batch_normalization(
        *map(keras.ops.convert_to_tensor, (x, gamma, beta)), 1e-3
    )
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
    scale = gamma / np.sqrt(variance + 1e-3)
    outputs = (x - mean[:, None, None]) * scale[:, None, None] + beta[:, None, None]
    for actual, expected in zip(found, (outputs, mean, variance), strict=True):
        np.testing.assert_allclose(array(actual), expected, rtol=1e-4, atol=1e-4)
    # A single value has the variance 0.
    one = (np.ones((1, 5, 1, 1), "float32"), gamma, beta)
    _, _, variance = internals.torch_batch_normalization(
        *map(keras.ops.convert_to_tensor, one), 1e-3
    )
    assert (array(variance) == 0).all()


def test_loss_tracker():
    image = keras.Input((2,))
    model = keras.Model(image, keras.layers.Dense(1)(image))
    model.compile("sgd", "mse")
    assert internals.loss_tracker(model) is next(m for m in model.metrics if m.name == "loss")


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD", "Nadam"])
def test_an_optimizer_is_named_without_a_backend(name):
    optimizer = getattr(keras.optimizers, name)(0.5)
    config = internals.without_backend({"all": [keras.saving.serialize_keras_object(optimizer)]})
    assert config["all"][0]["module"] == "keras.optimizers"
    (loaded,) = keras.saving.deserialize_keras_object(config)["all"]
    assert type(loaded) is type(optimizer) and float(loaded.learning_rate) == 0.5


def test_graphs():
    image = keras.Input((2,))
    double = keras.layers.Rescaling(2.0)
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(3.0)])
    x = inner(double(double(image)), training=True)
    model = keras.Model(image, [x])
    nodes = internals.graph_nodes(model)
    assert [node.operation for node in nodes] == [double, double, inner]
    assert [internals.is_training(node) for node in nodes] == [False, False, True]
    assert nodes[0].input_tensors[0] is image and nodes[2].outputs[0] is x
    assert nodes[1].input_tensors[0] is nodes[0].outputs[0]
    assert len(internals.graph_nodes(inner)) == 1

    class Other(keras.Model):
        def call(self, inputs):
            return 0 * super().call(inputs)

    assert internals.is_functional(model) and internals.is_functional(inner)
    assert not internals.is_functional(Other(image, x)) and not internals.is_functional(double)

    swap = {double: lambda x: x + 1, inner: lambda x, training: 10 * x}
    outputs = internals.run_graph(model, keras.ops.ones((1, 2)), swap.get)
    np.testing.assert_array_equal(array(outputs), [[30, 30]])


def test_values_to_load():
    def kernel():
        layer = keras.layers.Dense(3, bias_initializer="ones")
        layer.build((None, 2))
        np.testing.assert_array_equal(array(layer.bias), np.ones(3))
        return array(layer.kernel)

    with internals.values_to_load():
        loaded = kernel()
        with ThreadPoolExecutor() as pool:
            other = pool.submit(kernel).result()
    assert (loaded == 0).all() == (keras.backend.backend() == "jax")
    assert (other != 0).any() and (kernel() != 0).any()

    entered, left = threading.Event(), threading.Event()

    def load():
        with internals.values_to_load():
            entered.set()
            left.wait()

    # Two that overlap leave nothing behind.
    with ThreadPoolExecutor() as pool:
        with internals.values_to_load():
            second = pool.submit(load)
            entered.wait(0.2)
        left.set()
        second.result()
    assert (kernel() != 0).any()
