import numpy as np
import pytest

from keras_atinet.balancing import AlignedMTL


def aligned(matrix):
    """`s_min sum_k (U V')_k` for the rows' singular values `U S V'`, those above 0."""
    norms = np.linalg.norm(matrix, axis=1)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    known = values > 1e-6 * (np.abs(left) * norms[:, None]).sum(axis=0)
    return values[known].min() * left[:, known].sum(axis=0) @ right[known]


@pytest.fixture(scope="module")
def run(runner):
    """One for all tests: compiled once for every number of tasks."""
    return runner(AlignedMTL())


def test_reference(matrices, run):
    for name, matrix in matrices.items():
        expected = aligned(matrix)
        error = np.linalg.norm(run(matrix) - expected)
        assert error <= 1e-4 * np.linalg.norm(expected) + 1e-5, name


def test_torchjd(matrices, run):
    """TorchJD takes the mean, ours is the sum; it drops components by the longest gradient."""
    torch = pytest.importorskip("torch")
    aligned_mtl = pytest.importorskip("torchjd.aggregation").AlignedMTL()
    for name, matrix in matrices.items():
        expected = len(matrix) * aligned_mtl(torch.tensor(matrix)).numpy()
        error = np.linalg.norm(run(matrix) - expected)
        # Its eigenvalues in float64 are those of the smallest of squares that spread over 1e12.
        tolerance = 1e-3 if "spread" in name else 1e-4
        assert error <= tolerance * np.linalg.norm(expected) + 1e-5, (name, error)


def test_orthogonal_gradients_of_one_length_are_added(runner):
    matrix = 3.0 * np.eye(12)[[4, 1, 7]]
    np.testing.assert_allclose(runner(AlignedMTL())(matrix), matrix.sum(axis=0), atol=1e-5)


def test_orthogonal_gradients_are_shortened_to_the_shortest(runner):
    matrix = np.array([[1e3], [0.5], [20.0]]) * np.eye(12)[[4, 1, 7]]
    expected = 0.5 * np.eye(12)[[4, 1, 7]].sum(axis=0)
    np.testing.assert_allclose(runner(AlignedMTL())(matrix), expected, atol=1e-5)
