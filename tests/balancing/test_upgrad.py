import numpy as np
import pytest
from scipy.optimize import nnls

from keras_atinet.balancing import UPGrad


def projections(matrix):
    """Each row's projection on the cone that opposes no row; in unit vectors, for accuracy."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    units = np.divide(matrix, norms, out=np.zeros_like(matrix), where=norms > 0)
    pushes = np.stack([nnls(units.T, -unit)[0] for unit in units])
    return norms * (units + pushes @ units)


@pytest.fixture(scope="module")
def run(runner):
    """One for all tests: compiled once for every number of tasks."""
    return runner(UPGrad())


def test_reference(matrices, run):
    for name, matrix in matrices.items():
        expected = projections(matrix).sum(axis=0)
        error = np.linalg.norm(run(matrix) - expected)
        # Zero where no direction is good for all: then against the gradients.
        size = np.linalg.norm(expected)
        size = size if size > 1e-6 * np.abs(matrix).max() else np.linalg.norm(matrix)
        assert error <= 1e-4 * size, name


def test_torchjd(matrices, run):
    """TorchJD takes the mean of the projections, ours is their sum."""
    torch = pytest.importorskip("torch")
    aggregation = pytest.importorskip("torchjd.aggregation")
    linalg = pytest.importorskip("torchjd.linalg")
    # It adds 1e-4 of the squared norms to the diagonal by default; its solver needs something.
    projector = linalg.QuadprogProjector(norm_eps=0.0, reg_eps=1e-11)
    upgrad = aggregation.UPGrad(projector=projector)
    for name, matrix in matrices.items():
        if "spread" in name:
            continue  # Next to squared norms that spread over 1e12, any such addition is felt.
        expected = len(matrix) * upgrad(torch.tensor(matrix)).numpy()
        error = np.linalg.norm(run(matrix) - expected)
        assert error <= 1e-4 * np.linalg.norm(matrix), name


def test_opposes_no_task(matrices, run):
    for name, matrix in matrices.items():
        combined = run(matrix)
        largest = np.linalg.norm(matrix, axis=1).max()
        assert (matrix @ combined >= -1e-5 * largest * np.linalg.norm(matrix, axis=1)).all(), name


def test_adds_up_gradients_that_agree(runner):
    matrix = np.abs(np.random.RandomState(0).normal(size=(3, 12)))
    run = runner(UPGrad())
    np.testing.assert_allclose(run(matrix), matrix.sum(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(run.weights, [1, 1, 1])
