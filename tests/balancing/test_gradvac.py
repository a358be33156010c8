import keras
import numpy as np
import pytest

from keras_atinet.balancing import GradVac, PCGrad
from keras_atinet.balancing.gradient_based.gradvac import vaccination


def reference(matrix, usual, beta, orders):
    """Algorithm 1; changes `usual`. The cosine of a zero gradient counts as 0."""
    turned = matrix.copy()
    lengths = np.linalg.norm(matrix, axis=1)
    for k, order in enumerate(orders):
        for j in order:
            length, t = np.linalg.norm(turned[k]), usual[k, j]
            # What is left of two opposite gradients is rounding.
            length = length if length > 1e-6 * lengths[k] else 0
            product = length * lengths[j]
            c = np.clip(turned[k] @ matrix[j] / product, -1, 1) if product else 0
            if c < t and product:
                across = np.sqrt(1 - t * t)
                amount = length * (t * np.sqrt(1 - c * c) - c * across) / (lengths[j] * across)
                turned[k] += amount * matrix[j]
            usual[k, j] = (1 - beta) * t + beta * c
    return turned.sum(axis=0)


def assert_near(actual, expected, matrix, name):
    """1e-4 of the result; where gradients cancel, the rounding of the gradients counts."""
    largest = np.linalg.norm(matrix, axis=1).max()
    tolerance = max(1e-4 * np.linalg.norm(expected), 1e-5 * largest)
    assert np.linalg.norm(actual - expected) <= tolerance, name


def state(run):
    return keras.ops.convert_to_numpy(run.balancer.usual_cosines)


def test_two_tasks_over_several_steps(matrices, runner):
    """Their order does not matter; and TorchJD, which keeps cosines in every step as well."""
    torch, torchjd = pytest.importorskip("torch"), pytest.importorskip("torchjd.aggregation")
    names = ["parallel_2", "random_2", "conflicting_2", "spread_2", "spread_conflicting_2"]
    run, usual = runner(GradVac(beta=0.3)), np.zeros((2, 2))
    theirs = torchjd.GradVac(beta=0.3, eps=1e-30)
    for name in [*names, *names, "zero_gradient_2", "stationary_2", "duplicate_2", *names]:
        matrix = matrices[name]
        combined, expected = run(matrix), reference(matrix, usual, 0.3, [[1], [0]])
        assert_near(combined, expected, matrix, name)
        np.testing.assert_allclose(state(run), usual, atol=1e-5)
        assert_near(theirs(torch.tensor(matrix)).numpy(), expected, matrix, name)


@pytest.mark.parametrize("num_tasks", [3, 5])
def test_given_orders(matrices, apply, num_tasks):
    """The reference and TorchJD, with the same orders, step after step."""
    torch, torchjd = pytest.importorskip("torch"), pytest.importorskip("torchjd.aggregation")
    random = np.random.RandomState(0)
    theirs = torchjd.GradVac(beta=0.1, eps=1e-30)
    usual = np.zeros((num_tasks, num_tasks))
    names = [name for name, matrix in matrices.items() if len(matrix) == num_tasks]
    for name in ["parallel_" + str(num_tasks), *names, *names]:
        matrix = matrices[name]
        permutations = [random.permutation(num_tasks - 1) for _ in range(num_tasks)]
        orders = [[j + (j >= k) for j in permutation] for k, permutation in enumerate(permutations)]
        meetings = np.zeros((num_tasks - 1, num_tasks, num_tasks), "float32")
        for k, order in enumerate(orders):
            meetings[np.arange(num_tasks - 1), k, order] = 1
        gram = (matrix @ matrix.T).astype("float32")
        weights, cosines = apply(vaccination, gram, usual.astype("float32"), meetings)
        updated = usual + 0.1 * (cosines - usual)
        expected = reference(matrix, usual, 0.1, orders)
        assert_near(weights.astype("float64") @ matrix, expected, matrix, name)
        np.testing.assert_allclose(updated, usual, atol=1e-4, err_msg=name)
        with pytest.MonkeyPatch.context() as patch:
            given = iter(permutations)
            patch.setattr(torch, "randperm", lambda n, given=given: torch.tensor(next(given)))
            assert_near(theirs(torch.tensor(matrix)).numpy(), expected, matrix, name)


def test_the_usual_cosine_is_reached(matrices, apply):
    """Two gradients that agree less than usual leave with that cosine to the other one."""
    matrix = matrices["conflicting_2"]
    usual = np.array([[0, 0.6], [0.6, 0]], "float32")
    meetings = np.zeros((1, 2, 2), "float32")
    meetings[0, 0, 1] = 1  # Only the first is turned.
    weights, _ = apply(vaccination, (matrix @ matrix.T).astype("float32"), usual, meetings)
    turned = weights @ matrix - matrix[1]
    cosine = turned @ matrix[1] / np.linalg.norm(turned) / np.linalg.norm(matrix[1])
    assert cosine == pytest.approx(0.6, abs=1e-4)


def test_without_memory_it_is_pcgrad(matrices, runner):
    for name in ("random_2", "conflicting_2", "spread_conflicting_2"):
        matrix = matrices[name]
        combined, expected = runner(GradVac(beta=0))(matrix), runner(PCGrad())(matrix)
        np.testing.assert_allclose(combined, expected, rtol=1e-4)


def test_absent_tasks_keep_their_cosines(matrices, runner):
    run = runner(GradVac(beta=0.5))
    run(matrices["duplicate_3"])
    before = state(run)
    run(matrices["conflicting_3"], present=[1, 0, 1])
    after = state(run)
    met = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], bool)
    np.testing.assert_array_equal(after[~met], before[~met])
    assert (after[met] != before[met]).all()


def test_a_step_that_overflows_is_not_remembered(matrices, runner):
    run = runner(GradVac(beta=0.5))
    run(matrices["duplicate_2"])
    before = state(run)
    run(matrices["random_2"] * np.array([[np.inf], [1]]))
    np.testing.assert_array_equal(state(run), before)


@pytest.mark.parametrize("beta", [-0.1, 1.5, float("nan")])
def test_errors(beta):
    with pytest.raises(ValueError, match=r"`beta` of `GradVac`.*Received: beta="):
        GradVac(beta)


def test_against_libmtl(matrices, runner, libmtl):
    """LibMTL keeps a cosine only where it turned a gradient (the paper: always): as long as all
    steps turn, the two agree."""
    torch = pytest.importorskip("torch")
    matrix = matrices["conflicting_2"]
    weighting, results = libmtl("GradVac", matrix)
    run = runner(GradVac(beta=0.1))
    for _ in range(3):
        weighting.backward(torch.ones(2), beta=0.1)
        assert_near(run(matrix), results[-1], matrix, "conflicting_2")
