import numpy as np
import pytest
from scipy.optimize import root

from keras_atinet.balancing import NashMTL


def bargain(matrix):
    """d of length sqrt(K) with `G a = 1 / a`, by unit vectors, in float64.

    Followed from the identity to the cosines, by the logarithms of a.
    """
    norms = np.linalg.norm(matrix, axis=1)
    units = matrix[norms > 0] / norms[norms > 0, None]
    v = np.zeros(len(units))
    for ridge in (*np.logspace(1, -6, 15), 0.0):
        cosines = units @ units.T + ridge * np.eye(len(units))
        found = root(lambda v, c: np.exp(v) * (c @ np.exp(v)) - 1, v, (cosines,), tol=1e-12)
        v = found.x
    assert np.abs(found.fun).max() < 1e-9
    return np.exp(v) @ units


def solvable(matrices):
    return {name: matrix for name, matrix in matrices.items() if "stationary" not in name}


@pytest.fixture(scope="module")
def runs(runner):
    """By the number of tasks, for all tests."""
    return {num_tasks: runner(NashMTL(max_norm=0)) for num_tasks in (2, 3, 5)}


def test_reference(matrices, runs):
    for name, matrix in solvable(matrices).items():
        expected = bargain(matrix)
        error = np.linalg.norm(runs[len(matrix)](matrix) - expected)
        assert error <= 1e-4 * np.linalg.norm(expected), name


def test_equation(matrices, runs):
    for name, matrix in solvable(matrices).items():
        runs[len(matrix)](matrix)
        known = np.linalg.norm(matrix, axis=1) > 0
        weights, rows = runs[len(matrix)].weights[known], matrix[known]
        assert (weights > 0).all()
        gains = rows @ rows.T @ weights
        np.testing.assert_allclose(weights * gains, 1, rtol=2e-4, err_msg=name)


@pytest.mark.filterwarnings("ignore")  # Of the conic solver.
def test_torchjd(matrices, runs, runner):
    """The same, with `max_norm` too; compared where TorchJD's conic solver solves the equation."""
    torch = pytest.importorskip("torch")
    aggregation = pytest.importorskip("torchjd.aggregation")
    pytest.importorskip("ecos")
    compared = 0
    for name, matrix in solvable(matrices).items():
        options = {"n_tasks": len(matrix), "update_weights_every": 1, "optim_niter": 20}
        weights = aggregation.NashMTL(max_norm=0.0, **options).weighting(torch.tensor(matrix))
        weights = weights.numpy()
        if np.abs(weights * (matrix @ matrix.T @ weights) - 1).max() <= 1e-4:
            error = np.linalg.norm(runs[len(matrix)](matrix) - weights @ matrix)
            assert error <= 1e-4 * np.sqrt(len(matrix)), name
            compared += 1
    assert compared >= 12
    expected = aggregation.NashMTL(max_norm=1.0, **options | {"n_tasks": 3})
    expected = expected(torch.tensor(matrices["random_3"])).numpy()
    np.testing.assert_allclose(runner(NashMTL())(matrices["random_3"]), expected, atol=1e-4)


def test_length(matrices, runner):
    """sqrt(K), whatever the size of the gradients; or the bound."""
    for max_norm, length in ((0, np.sqrt(3)), (5.0, np.sqrt(3)), (0.5, 0.5)):
        run = runner(NashMTL(max_norm))
        for scale in (1e-4, 1.0, 1e4):
            combined = run(scale * matrices["random_3"])
            assert np.linalg.norm(combined) == pytest.approx(length, rel=1e-4)


def test_direction_does_not_change_with_the_scale_of_losses(matrices, runner):
    run = runner(NashMTL())
    for name in ("random_3", "conflicting_3"):
        matrix = matrices[name] * np.array([[1.0], [1e-3], [1e3]])
        np.testing.assert_allclose(run(matrix), run(matrices[name]), atol=1e-4)


def test_gradients_that_cancel_each_other(matrices, runner):
    for name in ("stationary_2", "stationary_3", "stationary_5"):
        run = runner(NashMTL())
        length = np.linalg.norm(run(matrices[name]))
        assert np.isfinite(run.weights).all() and length < 0.05, (name, length)


def test_weights_are_kept_between_updates(matrices, runner):
    every, fresh = runner(NashMTL(0, update_weights_every=3)), runner(NashMTL(0))
    sequence = [scale * matrices["random_3"][::turn] for scale, turn in ((1, 1), (2, -1)) * 3]
    kept = None
    for step, matrix in enumerate(sequence):
        fresh(matrix)
        kept = fresh.weights if step % 3 == 0 else kept
        every(matrix)
        np.testing.assert_allclose(every.weights, kept, rtol=1e-6)


def test_an_absent_task_keeps_its_weight(matrices, runner):
    run = runner(NashMTL(0, update_weights_every=2))
    run(matrices["random_3"])
    first = run.weights
    run(matrices["conflicting_3"])
    run(matrices["conflicting_3"], present=[1, 0, 1])  # A new solution, of two tasks.
    second = run.weights
    assert second[1] == 0 and abs(second[0] / first[0] - 1) > 1e-3
    run(matrices["conflicting_3"])
    np.testing.assert_allclose(run.weights, [second[0], first[1], second[2]], rtol=1e-6)


@pytest.mark.parametrize("wrong", [{"max_norm": -1}, {"update_weights_every": 0}])
def test_refuses(wrong):
    with pytest.raises(ValueError, match=r"of `NashMTL` must be.*Received"):
        NashMTL(**wrong)
