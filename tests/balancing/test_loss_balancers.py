"""What every balancer owes that needs the losses only."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import keras_atinet
from keras_atinet.balancing import BALANCERS, Fixed

NAMES = [name for name, balancer in BALANCERS.items() if not balancer.needs_gradients]
EVERY = [*NAMES, "fixed"]
NOT_RANDOM = [name for name in EVERY if name != "rlw"]

LOSSES = np.array([[0.7, 2.5, 0.02, 1.1], [0.5, 2.6, 0.03, 9.0], [0.6, 1.9, 0.01, 4.0]], "float32")
ALL = np.ones(4, "float32")


def make(name, order=(0, 1, 2, 3)):
    """The balancer of the tasks in this order, of which weights and state differ by task."""
    order = list(order)
    if name == "fixed":
        balancer = Fixed(np.array([0.5, 2.0, 0.0, 1.0])[order])
    else:
        balancer = BALANCERS[name](
            **{"rlw": {"seed": 3}, "stch": {"warmup_epochs": 1}}.get(name, {})
        )
    balancer.build((len(order),))
    for variable in balancer.trainable_weights:
        variable.assign(np.array([0.3, -0.2, 1.0, 0.1])[order])
    return balancer


def run(ask, balancer, order=(0, 1, 2, 3), present=ALL):
    """The objectives and weights of steps in two epochs."""
    order = list(order)
    steps = []
    for losses in LOSSES:
        steps.append(ask(balancer, losses[order], present[order]))
        balancer.end_epoch((losses * present)[order])
    return [np.array(values) for values in zip(*steps, strict=True)]


@pytest.mark.parametrize("name", NOT_RANDOM)
def test_the_order_of_the_tasks_does_not_matter(name, ask):
    order = [2, 0, 3, 1]
    objectives, weights = run(ask, make(name))
    permuted_objectives, permuted_weights = run(ask, make(name, order), order)
    np.testing.assert_allclose(permuted_objectives, objectives, rtol=1e-5)
    np.testing.assert_allclose(permuted_weights, weights[:, order], rtol=1e-5)
    assert name == "equal" or np.ptp(weights[-1]) > 0.01  # or the test would see nothing


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("present", [[1, 1, 1, 1], [1, 0, 1, 1]])
def test_weights_are_the_derivative_of_the_objective(name, present, ask, gradient):
    balancer = make(name)
    present = np.array(present, "float32")
    for losses in LOSSES:
        state = [ops.convert_to_numpy(v) for v in balancer.non_trainable_variables]
        trained = [ops.convert_to_numpy(v) for v in balancer.trainable_variables]

        def objective(x, state=state, trained=trained):
            mask = ops.convert_to_tensor(present)
            return balancer.stateless_call(trained, state, x * mask, mask)[0]

        derivative = gradient(objective, losses)
        _, weights = ask(balancer, losses, present)
        np.testing.assert_allclose(derivative, weights * present, rtol=1e-4, atol=1e-7)
        balancer.end_epoch(losses * present)


@pytest.mark.parametrize("name", [name for name in NOT_RANDOM if name != "dwa"])
def test_an_absent_task_is_as_if_it_were_not_there(name, ask):
    """All steps with a task absent are those of the other tasks alone."""
    order = [0, 1, 3]
    objectives, weights = run(ask, make(name), present=np.array([1, 1, 0, 1], "float32"))
    other_objectives, other_weights = run(ask, make(name, order), order)
    np.testing.assert_allclose(objectives, other_objectives, rtol=1e-5)
    np.testing.assert_allclose(weights[:, order], other_weights, rtol=1e-5)
    assert name == "equal" or not weights[:, 2].any()


@pytest.mark.parametrize("name", [name for name in EVERY if name != "rlw"])
def test_the_state_of_an_absent_task_rests(name, ask):
    balancer = make(name)
    run(ask, balancer)
    before = [np.array(ops.convert_to_numpy(v)) for v in balancer.variables]
    for losses in LOSSES[::-1]:
        ask(balancer, losses, np.array([1, 0, 1, 1], "float32"))
    for old, new in zip(before, balancer.variables, strict=True):
        if old.shape:
            assert ops.convert_to_numpy(new)[1] == old[1], new.name


@pytest.mark.parametrize("name", EVERY)
def test_never_nan(name, ask, gradient):
    """Zero, tiny and large losses, and no task at all."""
    balancer = make(name)
    for losses in ([0, 0, 0, 0], [0, 1, 1e-30, 1], [1e-8, 1e15, 1, 0], [1, 1, 1, 1]):
        losses = np.array(losses, "float32")
        state = [ops.convert_to_numpy(v) for v in balancer.non_trainable_variables]
        trained = [ops.convert_to_numpy(v) for v in balancer.trainable_variables]

        def objective(x, state=state, trained=trained):
            return balancer.stateless_call(trained, state, x, ops.ones((4,)))[0]

        assert np.isfinite(gradient(objective, losses)).all()
        objective, weights = ask(balancer, losses, ALL)
        assert np.isfinite(objective) and np.isfinite(weights).all(), losses
        balancer.end_epoch(losses)
    objective, weights = ask(balancer, ALL, 0 * ALL)
    assert objective == 0 and np.isfinite(weights).all()
    assert all(np.isfinite(ops.convert_to_numpy(v)).all() for v in balancer.variables)


@pytest.mark.parametrize("name", EVERY)
def test_one_task(name, ask):
    balancer = make(name, [1])
    for loss in LOSSES[:, 1:2]:
        objective, weights = ask(balancer, loss, ALL[:1])
        assert np.isfinite(objective) and weights.shape == (1,) and weights > 0
        balancer.end_epoch(loss)


@pytest.mark.parametrize("name", EVERY)
def test_round_trip(name):
    balancer = make(name)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(balancer)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(balancer)
    assert again.get_config() == balancer.get_config()


def network():
    """A convolution, and one for each of two tasks."""
    keras.utils.set_random_seed(0)
    tasks = [keras_atinet.DepthEstimation(), keras_atinet.SurfaceNormals()]
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="tanh", name="shared")(image)
    outputs = {
        task.name: keras.layers.Conv2D(task.channels, 1, dtype="float32", name=task.name)(x)
        for task in tasks
    }
    return keras_atinet.MultiTaskModel(image, outputs, tasks, {})


def batch():
    random = np.random.default_rng(0)
    images = random.random((2, 8, 8, 3), dtype="float32")
    depth = random.uniform(1, 5, (2, 8, 8, 1)).astype("float32")
    return images, {"depth": depth, "normal": random.normal(size=(2, 8, 8, 3)).astype("float32")}


def values(variables):
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def compiled(name):
    model = network()
    model.compile(keras.optimizers.SGD(0.1), balancer=name, metrics={})
    return model


def step(model, depth=1.0, normal=1.0):
    """Logs of a train step, and what the kernels of the two heads moved by."""
    images, targets = batch()
    targets = {"depth": depth * targets["depth"], "normal": normal * targets["normal"]}
    heads = [model.get_layer(task.name).kernel for task in model.tasks]
    before = values(heads)
    model.reset_metrics()
    logs = model.train_on_batch(images, targets, return_dict=True)
    return logs, [new - old for old, new in zip(before, values(heads), strict=True)]


@pytest.fixture(scope="module")
def equal_moves():
    return step(compiled("equal"))[1]


def copy(balancer):
    same = type(balancer).from_config(balancer.get_config())
    same.build((2,))
    for variable, value in zip(same.variables, values(balancer.variables), strict=True):
        variable.assign(value)
    return same


@pytest.mark.parametrize("name", NAMES)
def test_train_steps(name, equal_moves, ask, tmp_path):
    """Each is what the balancer asks for outside the compiled step; also in a restored model."""
    model = compiled(name)
    for index, (depth, normal) in enumerate([(1, 1), (1.1, 1), (1.2, 0), (0.7, 1)]):
        outside, trained = copy(model.balancer), values(model.balancer.trainable_variables)
        logs, moves = step(model, depth, normal)
        losses, weights = (
            [logs[f"{t}_{x}"] for t in ("depth", "normal")] for x in ("loss", "weight")
        )
        # The loss of an absent task is 0; what is logged is a mean over no image.
        objective, expected = ask(outside, np.nan_to_num(losses), [1, normal])
        np.testing.assert_allclose(logs["loss"], objective, rtol=1e-4)
        np.testing.assert_allclose(weights, expected, rtol=1e-4)
        states = outside.non_trainable_variables, model.balancer.non_trainable_variables
        for new, variable in zip(*map(values, states), strict=True):
            np.testing.assert_allclose(variable, new, rtol=1e-4, atol=1e-6)
        for old, new in zip(trained, values(model.balancer.trainable_variables), strict=True):
            assert (old[:1] != new[:1]).all() and (old[1] != new[1]) == bool(normal)
        if index == 0:
            for weight, move, equal in zip(weights, moves, equal_moves, strict=True):
                np.testing.assert_allclose(move, weight * equal, rtol=1e-3, atol=1e-6)

    model.balancer.end_epoch([2.0, 1.0])
    model.save_weights(tmp_path / "model.weights.h5")
    again = compiled(name)
    again.load_weights(tmp_path / "model.weights.h5")
    states = model.balancer.variables, again.balancer.variables
    for old, new in zip(*map(values, states), strict=True):
        np.testing.assert_array_equal(new, old)
