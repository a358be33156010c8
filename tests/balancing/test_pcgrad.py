import itertools

import numpy as np
import pytest

from keras_atinet.balancing import PCGrad
from keras_atinet.balancing.gradient_based.pcgrad import surgery


def reference(matrix, orders):
    """Algorithm 1, for the order in which every task meets the others."""
    projected = matrix.copy()
    for k, order in enumerate(orders):
        for j in order:
            inner = projected[k] @ matrix[j]
            if inner < 0:
                projected[k] -= inner / (matrix[j] @ matrix[j]) * matrix[j]
    return projected.sum(axis=0)


def all_orders(num_tasks):
    """Every way in which every task may meet the others."""
    each = [
        list(itertools.permutations([j for j in range(num_tasks) if j != k]))
        for k in range(num_tasks)
    ]
    return list(itertools.product(*each))


def one_hot(orders):
    """Orders as `surgery` wants them."""
    num_tasks = len(orders)
    meetings = np.zeros((num_tasks, num_tasks, num_tasks), "float32")
    for k, order in enumerate(orders):
        meetings[np.arange(num_tasks - 1), k, order] = 1
    return meetings


def assert_near(actual, expected, matrix, name):
    """1e-4 of the result; where gradients cancel, the rounding of the gradients counts."""
    largest = np.linalg.norm(matrix, axis=1).max()
    tolerance = max(1e-4 * np.linalg.norm(expected), 1e-6 * largest)
    assert np.linalg.norm(actual - expected) <= tolerance, name


def test_two_tasks(matrices, runner):
    """Their order does not matter."""
    run = runner(PCGrad())
    for name, matrix in matrices.items():
        if len(matrix) == 2:
            assert_near(run(matrix), reference(matrix, [[1], [0]]), matrix, name)


@pytest.mark.parametrize("num_tasks", [3, 5])
def test_given_orders(matrices, apply, num_tasks):
    """The reference; and TorchJD, which sums over the tasks as well, with the same orders."""
    torch, torchjd = pytest.importorskip("torch"), pytest.importorskip("torchjd.aggregation")
    random = np.random.RandomState(0)
    for name, matrix in matrices.items():
        if len(matrix) != num_tasks:
            continue
        permutations = [random.permutation(num_tasks) for _ in range(num_tasks)]
        orders = [[j for j in order if j != k] for k, order in enumerate(permutations)]
        gram = (matrix @ matrix.T).astype("float32")
        weights = apply(surgery, gram, one_hot(orders)).astype("float64")
        expected = reference(matrix, orders)
        assert_near(weights @ matrix, expected, matrix, name)
        with pytest.MonkeyPatch.context() as patch:
            given = iter(permutations)
            patch.setattr(torch, "randperm", lambda n, given=given: torch.tensor(next(given)))
            theirs = torchjd.PCGrad()(torch.tensor(matrix)).numpy()
        assert_near(theirs, expected, matrix, name)


def test_orders_are_random(matrices, runner):
    """Each step takes one of the eight orders of three tasks, and all of them have their turn."""
    matrix = matrices["stationary_3"]
    possible = np.array([reference(matrix, orders) for orders in all_orders(3)])
    run, seen = runner(PCGrad(seed=1)), set()
    for _ in range(100):
        distance = np.linalg.norm(possible - run(matrix), axis=1)
        assert distance.min() < 1e-4 * np.linalg.norm(matrix)
        seen.update(np.flatnonzero(distance < 1e-4 * np.linalg.norm(matrix)))
    assert len(np.unique(possible.round(6), axis=0)) > 1 and seen == set(range(8))


def test_the_same_seed_gives_the_same_orders(matrices, runner):
    runs = [runner(PCGrad(seed=3)) for _ in range(2)]
    steps = [[run(matrices["conflicting_5"]) for _ in range(5)] for run in runs]
    np.testing.assert_array_equal(*steps)
    assert not np.allclose(steps[0][0], steps[0][1])


def test_without_conflict_it_is_the_sum(matrices, runner):
    matrix = np.abs(matrices["random_5"])
    np.testing.assert_allclose(runner(PCGrad())(matrix), matrix.sum(axis=0), rtol=1e-5)


def test_equivariance_on_average(matrices, apply):
    """The mean over all orders does not depend on the order of the tasks."""
    matrix = matrices["conflicting_3"]

    def mean(matrix):
        gram = (matrix @ matrix.T).astype("float32")
        weights = [apply(surgery, gram, one_hot(orders)) for orders in all_orders(3)]
        return np.mean(weights, axis=0) @ matrix

    np.testing.assert_allclose(mean(matrix[[2, 0, 1]]), mean(matrix), rtol=1e-4, atol=1e-6)


def test_against_libmtl(matrices, runner, libmtl):
    """LibMTL lets a task meet itself too, which changes nothing; two tasks, for the order."""
    torch = pytest.importorskip("torch")
    for name in ("random_2", "conflicting_2", "spread_conflicting_2"):
        weighting, result = libmtl("PCGrad", matrices[name])
        weighting.backward(torch.ones(2))
        assert_near(runner(PCGrad())(matrices[name]), result[0], matrices[name], name)
