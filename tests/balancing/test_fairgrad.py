import numpy as np
import pytest
from scipy.optimize import root

from keras_atinet.balancing import FairGrad, NashMTL


def fair(matrix, alpha):
    """d with `G w = w^(-1 / alpha)`, in float64, by log y for `w = y / |g|`.

    Followed from the identity to the cosines, and from equal norms to those of the gradients.
    """
    norms = np.linalg.norm(matrix, axis=1)
    units, norms = matrix[norms > 0] / norms[norms > 0, None], norms[norms > 0]
    path = [(ridge, 0.0) for ridge in (*np.logspace(1, -6, 15), 0.0)]
    path += [(0.0, part) for part in np.linspace(0, 1, 41)] if alpha != 1 else []
    v = np.zeros(len(units))
    gain = lambda v, c, q: np.exp(v / alpha) / q * (c @ np.exp(v))  # noqa: E731
    equation = lambda v, c, q: gain(v, c, q) - 1  # noqa: E731
    slope = lambda v, c, q: (  # noqa: E731
        (np.exp(v / alpha) / q)[:, None] * c * np.exp(v) + np.diag(gain(v, c, q)) / alpha
    )
    for ridge, part in path:
        cosines = units @ units.T + ridge * np.eye(len(units))
        q = norms ** (part * (1 / alpha - 1))
        found = root(equation, v, (cosines, q), jac=slope, tol=1e-13)
        v = found.x
    assert np.abs(found.fun).max() < 1e-6
    return np.exp(v) @ units


def solvable(matrices):
    return {name: matrix for name, matrix in matrices.items() if "stationary" not in name}


@pytest.fixture(scope="module", params=[0.5, 2.0, 5.0])
def run(runner, request):
    """One for all tests: compiled once for every number of tasks."""
    return runner(FairGrad(request.param))


def test_reference(matrices, run):
    for name, matrix in solvable(matrices).items():
        expected = fair(matrix, run.balancer.alpha)
        error = np.linalg.norm(run(matrix) - expected)
        assert error <= 1e-4 * np.linalg.norm(expected), name


def test_equation(matrices, run):
    for name, matrix in solvable(matrices).items():
        combined = run(matrix)
        known = np.linalg.norm(matrix, axis=1) > 0
        gains, weights = (matrix @ combined)[known], run.weights[known]
        assert (weights > 0).all(), name
        # The gains of the shortest gradients are lost in the rounding of the longest.
        if "spread" not in name:
            np.testing.assert_allclose(
                gains * weights ** (1 / run.balancer.alpha), 1, rtol=3e-4, err_msg=name
            )


def test_torchjd(matrices, run):
    """The same; SciPy's least squares, by which TorchJD solves, stalls where norms spread."""
    torch = pytest.importorskip("torch")
    aggregation = pytest.importorskip("torchjd.aggregation")
    fairgrad = aggregation.FairGrad(run.balancer.alpha)
    for name, matrix in solvable(matrices).items():
        if "zero" not in name and "spread" not in name:
            expected = fairgrad(torch.tensor(matrix)).numpy()
            error = np.linalg.norm(run(matrix) - expected)
            assert error <= 1e-4 * np.linalg.norm(expected), (name, error)


def test_alpha_of_1_is_nash(matrices, runner):
    fair, nash = runner(FairGrad()), runner(NashMTL(max_norm=0))
    for name in ("random_3", "conflicting_3", "spread_3"):
        np.testing.assert_allclose(fair(matrices[name]), nash(matrices[name]), atol=1e-5)


def test_gradients_that_cancel_each_other(matrices, runner):
    run = runner(FairGrad())
    for name in ("stationary_2", "stationary_3", "stationary_5"):
        length = np.linalg.norm(run(matrices[name]))
        assert np.isfinite(run.weights).all() and length < 0.1, (name, length)


@pytest.mark.parametrize("alpha", [0, -1.0, float("nan")])
def test_refuses(alpha):
    with pytest.raises(ValueError, match=r"must be above 0.*Received"):
        FairGrad(alpha)
