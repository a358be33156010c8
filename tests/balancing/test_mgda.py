import numpy as np
import pytest
import scipy.optimize

from keras_atinet.balancing import MGDA


def shortest(matrix):
    """The weights of the shortest vector of the convex hull of the rows, in float64.

    With unit rows u and c the inverse norms, `min_z |u' z|^2 + (c' z - 1)^2` over `z >= 0` has it
    as direction.
    """
    norms = np.linalg.norm(matrix, axis=1)
    if norms.min() == 0:
        return (norms == 0) / (norms == 0).sum()
    scale = norms.min() / norms
    system = np.vstack([(matrix / norms[:, None]).T, scale])
    z, _ = scipy.optimize.nnls(system, np.append(matrix[0] * 0, 1))
    return scale * z / (scale @ z)


@pytest.mark.parametrize("num_tasks", [2, 3, 5])
def test_reference(matrices, runner, num_tasks):
    run = runner(MGDA())
    for name, matrix in matrices.items():
        if len(matrix) == num_tasks:
            combined, expected = run(matrix), shortest(matrix) @ matrix
            assert run.weights.min() >= 0 and run.weights.sum() == pytest.approx(1, abs=1e-5), name
            # Zero in the hull: relative to the gradients; else to the result.
            size = np.linalg.norm(expected)
            size = size if size > 1e-9 else np.linalg.norm(matrix, axis=1).min()
            assert np.linalg.norm(combined - expected) <= 1e-4 * size, name


def test_pareto_stationarity(matrices, runner):
    """0 where zero lies in the hull, and else a descent for all: `g_k . d >= |d|^2`."""
    runs = {num_tasks: runner(MGDA()) for num_tasks in (2, 3, 5)}
    stationary = 0
    for name, matrix in matrices.items():
        d = runs[len(matrix)](matrix)
        if name.startswith(("stationary", "zero_gradient")):
            assert np.linalg.norm(d) <= 1e-5 * np.linalg.norm(matrix, axis=1).max(), name
            stationary += 1
        else:
            rounding = 1e-6 * np.linalg.norm(matrix, axis=1) * np.linalg.norm(d)
            assert d @ d > 0 and (matrix @ d >= d @ d - rounding).all(), name
    assert stationary == 6


@pytest.mark.parametrize("normalization", ["l2", "loss", "loss+"])
def test_normalization(matrices, runner, normalization):
    """The shortest vector of normalized gradients, which is what LibMTL takes too."""
    run, losses = runner(MGDA(normalization)), np.array([0.5, 2.0, 0.1])
    for name in ("random_3", "conflicting_3", "spread_3", "spread_conflicting_3"):
        matrix = matrices[name]
        norms = np.linalg.norm(matrix, axis=1)
        sizes = {"l2": norms, "loss": losses, "loss+": losses * norms}[normalization]
        normalized = matrix / sizes[:, None]
        expected = shortest(normalized) @ normalized
        size = np.linalg.norm(expected)
        combined = run(matrix, losses)
        np.testing.assert_allclose(combined, expected, rtol=0, atol=1e-4 * size, err_msg=name)
        assert (matrix @ combined > -1e-6 * size * norms).all()  # a descent for all


def test_l2_is_scale_invariant(matrices, runner):
    run = runner(MGDA("l2"))
    matrix = matrices["conflicting_3"]
    scaled = matrix * np.array([1e3, 1.0, 1e-3])[:, None]
    np.testing.assert_allclose(run(scaled), run(matrix), rtol=1e-4, atol=1e-5)


def test_against_torchjd(matrices, runner):
    """TorchJD stops its Frank-Wolfe steps early, so it is asked for many; same convention."""
    torch, torchjd = pytest.importorskip("torch"), pytest.importorskip("torchjd.aggregation")
    theirs = torchjd.MGDA(epsilon=1e-12, max_iters=5000)
    runs = {num_tasks: runner(MGDA()) for num_tasks in (2, 3)}
    for name in ("random_2", "conflicting_2", "parallel_2", "spread_2", "conflicting_3"):
        matrix = matrices[name]
        expected = theirs(torch.tensor(matrix)).numpy()
        size = np.linalg.norm(expected)
        combined = runs[len(matrix)](matrix)
        # Of a convex problem, the better point is the shorter one.
        assert np.linalg.norm(combined) <= (1 + 1e-6) * size, name
        np.testing.assert_allclose(combined, expected, rtol=0, atol=5e-4 * size, err_msg=name)


def test_against_libmtl(matrices, runner, libmtl):
    """LibMTL takes 0.999 of a corner instead of all of it; three tasks that all count."""
    torch = pytest.importorskip("torch")
    run = runner(MGDA("loss"))
    matrix, losses = matrices["conflicting_3"], np.array([0.5, 2.0, 1.0])
    weighting, result = libmtl("MGDA", matrix)
    weighting.backward(list(torch.tensor(losses)), mgda_gn="loss")
    size = np.linalg.norm(result[0])
    np.testing.assert_allclose(run(matrix, losses), result[0], rtol=0, atol=1e-4 * size)


def test_errors():
    with pytest.raises(ValueError, match=r"`normalization` of `MGDA`.*Received.*'max'"):
        MGDA("max")
