import numpy as np
import pytest

from keras_atinet.balancing.solvers.eigen import eigen


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_against_numpy(apply, size):
    rows = np.random.RandomState(size).normal(size=(size, 10))
    gram = (rows @ rows.T).astype("float32")
    values, vectors = apply(eigen, gram)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(gram), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(size), atol=1e-5)
    np.testing.assert_allclose((vectors * values) @ vectors.T, gram, atol=1e-5 * gram.max())


def test_small_eigenvalues_are_accurate(apply):
    """Norms that spread over 1e6: eigenvalues over 1e12, each to 1e-5."""
    random = np.random.RandomState(0)
    rows = (np.logspace(-3, 3, 4)[:, None] * random.normal(size=(4, 10))).astype("float32")
    expected = np.linalg.svd(rows.astype("float64"), compute_uv=False) ** 2
    values, _ = apply(eigen, rows @ rows.T)
    np.testing.assert_allclose(np.sort(values)[::-1], expected, rtol=1e-5)


def test_what_is_not_finite_raises_nothing(apply):
    values, _ = apply(eigen, np.full((3, 3), np.nan, "float32"))
    assert np.isnan(values).any()
