import numpy as np
import pytest
from scipy.optimize import minimize

from keras_atinet.balancing import CAGrad


def best_direction(matrix, c):
    """`argmax_d min_k g_k . d` in the ball of radius `c |g_0|` around the mean g_0."""
    matrix = matrix[np.linalg.norm(matrix, axis=1) > 0]
    mean = matrix.mean(axis=0)
    radius = c * np.linalg.norm(mean)
    _, _, basis = np.linalg.svd(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))
    basis = basis[: len(matrix)]
    norms = np.linalg.norm(matrix, axis=1)
    units, center = matrix @ basis.T / norms[:, None], basis @ mean / radius
    # Over the direction from the mean by the radius, and the worst gain by the shortest gradient.
    constraints = [
        {"type": "ineq", "fun": lambda v: units @ (center + v[1:]) - v[0] * norms.min() / norms},
        {"type": "ineq", "fun": lambda v: 1 - v[1:] @ v[1:]},
    ]
    start = np.zeros(1 + len(basis))
    start[0] = (units @ center * norms).min() / norms.min()
    found = minimize(
        lambda v: -v[0],
        start,
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    return mean + radius * found.x[1:] @ basis


def defined(matrices):
    """Those whose gradients do not cancel each other; there the direction is not unique."""
    return {name: matrix for name, matrix in matrices.items() if "stationary" not in name}


@pytest.fixture(scope="module", params=[0.5, 0.9])
def run(runner, request):
    """One for all tests: compiled once for every number of tasks."""
    return runner(CAGrad(request.param))


def test_reference(matrices, run):
    for name, matrix in defined(matrices).items():
        # K d, to be `Equal` at c = 0; a gradient of zero is no task.
        num_tasks = np.sum(np.linalg.norm(matrix, axis=1) > 0)
        expected = num_tasks * best_direction(matrix, run.balancer.c)
        error = np.linalg.norm(run(matrix) - expected)
        assert error <= 1e-4 * np.linalg.norm(expected), name


def test_torchjd(matrices, run):
    """TorchJD takes d, ours is K d; where a gradient is 0 or they cancel, it stops, ours goes on.

    Its conic solver is good to 1e-3 only, and less where norms spread; what ours does for the
    worst-off task is no less.
    """
    torch = pytest.importorskip("torch")
    aggregation = pytest.importorskip("torchjd.aggregation")
    pytest.importorskip("clarabel")
    cagrad = aggregation.CAGrad(c=run.balancer.c, norm_eps=1e-9)
    for name, matrix in defined(matrices).items():
        if "zero_gradient" not in name:
            expected = len(matrix) * cagrad(torch.tensor(matrix)).numpy()
            combined = run(matrix)
            tolerance = 5e-3 if "spread" in name else 1e-3
            error = np.linalg.norm(combined - expected)
            assert error <= tolerance * np.linalg.norm(expected), name
            rounding = 1e-6 * np.linalg.norm(matrix) * np.linalg.norm(expected)
            assert (matrix @ combined).min() >= (matrix @ expected).min() - rounding, name


def test_libmtl(libmtl, matrices, runner):
    """LibMTL takes `d / (1 + c^2)`, and a solver good to 1e-3; it knows three tasks only."""
    torch = pytest.importorskip("torch")
    for name in ("random_3", "conflicting_3", "rank_deficient_3"):
        weighting, result = libmtl("CAGrad", matrices[name])
        weighting.backward(torch.ones(3), calpha=0.5, rescale=1)
        expected = 3 * (1 + 0.5**2) * result[0]
        error = np.linalg.norm(runner(CAGrad())(matrices[name]) - expected)
        assert error <= 2e-3 * np.linalg.norm(expected), (name, error / np.linalg.norm(expected))


def test_stays_in_its_ball(matrices, run):
    for name, matrix in matrices.items():
        total = matrix.sum(axis=0)
        distance = np.linalg.norm(run(matrix) - total)
        assert distance <= run.balancer.c * np.linalg.norm(total) * (1 + 1e-4) + 1e-5, name


def test_no_room_is_equal(matrices, runner):
    run = runner(CAGrad(0))
    for name in ("random_3", "spread_conflicting_3", "stationary_3"):
        run(matrices[name])
        np.testing.assert_allclose(run.weights, 1, atol=1e-6)


def test_gradients_that_cancel_each_other(runner):
    """Opposite ones, and a third: no direction is best, the update is that of `Equal`."""
    matrix = np.eye(3)[[0, 0, 1]] * np.array([[2.0], [-2.0], [3.0]])
    run = runner(CAGrad())
    np.testing.assert_allclose(run(matrix), [0, 3, 0], atol=1e-6)


@pytest.mark.parametrize("c", [-0.1, 1.0, float("nan")])
def test_refuses(c):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\).*Received"):
        CAGrad(c)
