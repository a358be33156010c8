"""What balancers of gradients owe that draw, remember or choose; in the compiled step.

For those that are functions of the inner products, see test_gram_balancers.py.
"""

import inspect
import json

import keras
import numpy as np
import pytest

from keras_atinet.balancing import BALANCERS, GradVac, PCGrad

NAMES = ("gradnorm", "pcgrad", "gradvac", "graddrop", "mgda")


@pytest.fixture(params=NAMES)
def make(request):
    """`make()`: a new balancer, always with the same random numbers."""
    kind = BALANCERS[request.param]
    draws = "seed" in kind().get_config()
    return lambda **kwargs: kind(**({"seed": 0} if draws else {}), **kwargs)


def close(actual, expected, matrix):
    largest = np.linalg.norm(matrix, axis=1).max()
    return np.linalg.norm(actual - expected) <= 1e-4 * np.linalg.norm(expected) + 1e-6 * largest


def test_always_finite(make, matrices, runner):
    runs = {num_tasks: runner(make()) for num_tasks in (2, 3, 5)}
    for name, matrix in matrices.items():
        assert np.isfinite(runs[len(matrix)](matrix)).all(), name
        assert np.isfinite(runs[len(matrix)].weights).all(), name


@pytest.mark.parametrize("name", ["random_2", "conflicting_2", "spread_2", "conflicting_3"])
def test_permutation_equivariance(make, matrices, runner, name):
    """The order of the tasks does not matter. Two tasks where it is drawn at random."""
    matrix = matrices[name]
    if isinstance(make(), (GradVac, PCGrad)) and len(matrix) > 2:
        pytest.skip("for all orders at once, see test_pcgrad.py")
    losses = np.array([0.5, 2.0, 1.0])[: len(matrix)]
    run, permuted = runner(make()), runner(make())
    for _ in range(2):  # With what it remembers of the first step.
        combined = run(matrix, losses)
        assert close(permuted(matrix[::-1], losses[::-1]), combined, matrix)


@pytest.mark.parametrize("name", ["random_3", "conflicting_3", "spread_conflicting_3"])
def test_absent_is_as_removed(make, matrices, runner, name):
    matrix, losses = matrices[name], np.array([0.5, 1.0, 2.0])
    with_absent, without = runner(make()), runner(make())
    for _ in range(2):
        combined = with_absent(matrix, losses, present=[1, 0, 1])
        assert close(combined, without(matrix[[0, 2]], losses[[0, 2]]), matrix)


def test_only_one_present_or_none(make, matrices, runner):
    """One task alone is followed, whatever the length of the step; nothing gives nothing."""
    matrix, run = matrices["random_3"], runner(make())
    np.testing.assert_array_equal(run(matrix, present=[0, 0, 0]), 0)
    combined = run(matrix, present=[0, 1, 0])
    cosine = combined @ matrix[1] / np.linalg.norm(combined) / np.linalg.norm(matrix[1])
    assert cosine == pytest.approx(1, abs=1e-5)


def test_one_task(make, matrices, runner):
    gradient = matrices["random_2"][:1]
    combined = runner(make())(gradient)
    cosine = combined @ gradient[0] / np.linalg.norm(combined) / np.linalg.norm(gradient)
    assert cosine == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("num_tasks", [1, 2, 3])
def test_zero_gradients(make, runner, num_tasks):
    run = runner(make())
    np.testing.assert_array_equal(run(np.zeros((num_tasks, 12))), 0)
    assert np.isfinite(run.weights).all()
    for variable in run.balancer.variables:
        assert np.isfinite(keras.ops.convert_to_numpy(variable)).all()


def test_round_trip(make):
    balancer = make(over="bottleneck", diagnostics=True, name="mine")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(balancer)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(balancer) and again.get_config() == balancer.get_config()
    arguments = inspect.signature(type(balancer)).parameters
    assert {name for name in arguments if name != "kwargs"} <= set(balancer.get_config())
    assert again.over == "bottleneck" and again.diagnostics


def test_over_must_be_known(make):
    with pytest.raises(ValueError, match=r"`over` of .* must be one of .*Received: over='heads'"):
        make(over="heads")
