"""What all balancers owe that work on the inner products of the gradients."""

import json

import keras
import numpy as np
import pytest

from keras_atinet.balancing import (
    AlignedMTL,
    CAGrad,
    FairGrad,
    ImpartialGradient,
    NashMTL,
    UPGrad,
    get_balancer,
)

# Those that the tests of one balancer compile too.
BALANCERS = {
    "cagrad": CAGrad,
    "imtl_g": ImpartialGradient,
    "nashmtl": lambda: NashMTL(max_norm=0),
    "aligned_mtl": AlignedMTL,
    "fairgrad": lambda: FairGrad(alpha=2.0),
    "upgrad": UPGrad,
}
EASY = ("random_3", "conflicting_3", "spread_3", "spread_conflicting_3", "zero_gradient_3")


@pytest.fixture(scope="module", params=BALANCERS)
def make(request):
    return BALANCERS[request.param]


@pytest.fixture(scope="module")
def runs(runner, make):
    """By the number of tasks, for all tests: each is compiled once."""
    return {num_tasks: runner(make()) for num_tasks in (1, 2, 3, 5, 8)}


def assert_near(actual, expected, name, tolerance=1e-4):
    error = np.linalg.norm(actual - expected)
    assert error <= tolerance * np.linalg.norm(expected) + 1e-7, (name, actual, expected)


def test_never_nan(matrices, runs):
    for num_tasks in (2, 3, 5):
        run = runs[num_tasks]
        for name, matrix in matrices.items():
            if len(matrix) == num_tasks:
                for scale in (1.0, 1e-12, 1e12):
                    combined = run(scale * matrix)
                    assert np.isfinite(combined).all() and np.isfinite(run.weights).all(), name
        zero = np.zeros((num_tasks, 12))
        np.testing.assert_array_equal(run(zero), 0)
        assert np.isfinite(run.weights).all()


def test_order_of_the_tasks(matrices, runs):
    order, run = np.array([2, 0, 1]), runs[3]
    for name in (*EASY, "duplicate_3", "rank_deficient_3", "parallel_3"):
        assert_near(run(matrices[name][order]), run(matrices[name]), name, 2e-4)


def test_an_absent_task_takes_no_part(matrices, runs):
    run, rest = runs[3], runs[2]
    present = np.array([1, 0, 1])
    for name in ("random_3", "conflicting_3", "spread_3", "spread_conflicting_3"):
        expected = rest(np.delete(matrices[name], 1, axis=0))
        assert_near(run(matrices[name], present=present), expected, name)
        assert_near(np.delete(run.weights, 1), rest.weights, name)


def test_a_gradient_of_zero_takes_no_part(matrices, runs):
    matrix = matrices["zero_gradient_3"]
    assert_near(runs[3](matrix), runs[2](matrix[:2]), "zero")


def test_one_task_goes_along_its_gradient(runs):
    gradient = np.random.RandomState(0).normal(size=12)
    combined = runs[1](gradient[None])
    assert_near(combined / np.linalg.norm(combined), gradient / np.linalg.norm(gradient), "one")


def test_eight_tasks(runs):
    matrix = np.random.RandomState(0).normal(size=(8, 12))
    assert_near(runs[8](matrix[::-1]), runs[8](matrix), "eight", 5e-4)


def test_round_trip(make):
    balancer = make()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(balancer)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(balancer) and again.get_config() == balancer.get_config()


def test_by_name():
    for name, make in BALANCERS.items():
        assert type(get_balancer(name)) is type(make())
