"""Against SciPy's active-set solver, in float64."""

import numpy as np
import pytest
from scipy.optimize import nnls

from keras_atinet.balancing.solvers.quadratic import min_norm_weights, nonnegative_quadratic


def min_norm(matrix):
    """The shortest vector of the convex hull of the rows.

    With unit rows u and c the inverse norms: `min_z |u' z|^2 + (c' z - 1)^2` over `z >= 0` has it
    as direction.
    """
    norms = np.linalg.norm(matrix, axis=1)
    if norms.min() == 0:
        return np.zeros(matrix.shape[1])
    scale = norms.min() / norms
    z, _ = nnls(np.vstack([(matrix / norms[:, None]).T, scale]), np.append(matrix[0] * 0, 1))
    weights = scale * z
    return weights @ matrix / weights.sum()


@pytest.mark.parametrize("num_tasks", [2, 3, 5])
def test_min_norm(matrices, apply, num_tasks):
    cases = {name: m for name, m in matrices.items() if len(m) == num_tasks}
    random = np.random.RandomState(0)
    for trial in range(50):
        matrix = random.normal(size=(num_tasks, random.choice([2, 4, 30])))
        matrix *= 10 ** random.uniform(-3, 3, size=(num_tasks, 1))
        cases[f"trial {trial}"] = matrix.astype("float32").astype("float64")
    for name, matrix in cases.items():
        gram = (matrix @ matrix.T).astype("float32")
        weights = apply(min_norm_weights, gram, np.ones(num_tasks, "float32")).astype("float64")
        assert weights.min() >= 0 and weights.sum() == pytest.approx(1, abs=1e-6), name
        expected, shortest = min_norm(matrix), np.linalg.norm(matrix, axis=1).min()
        size = np.linalg.norm(expected)
        # Zero in the hull: its square is known to 1e-7, the rounding of cosines in float32.
        tolerance = 1e-4 * size if size > 1e-6 * shortest else 5e-4 * shortest
        assert np.linalg.norm(weights @ matrix - expected) <= tolerance, name


def test_an_absent_task_takes_no_part(matrices, apply):
    for name in ("conflicting_5", "spread_conflicting_5", "stationary_5"):
        matrix = matrices[name] * np.array([1, 1, 0, 1, 1])[:, None]
        present = np.array([1, 1, 0, 1, 1], "float32")
        weights = apply(min_norm_weights, (matrix @ matrix.T).astype("float32"), present)
        rest = np.delete(matrix, 2, axis=0)
        expected = apply(min_norm_weights, (rest @ rest.T).astype("float32"), np.ones(4, "float32"))
        np.testing.assert_allclose(np.delete(weights, 2), expected, rtol=1e-5, atol=1e-6)
        assert weights[2] == 0


def test_nothing_to_choose_from(apply):
    zeros = np.zeros((3, 3), "float32")
    for present in ([1, 1, 1], [0, 1, 1], [0, 0, 0]):
        present = np.array(present, "float32")
        weights = apply(min_norm_weights, zeros, present)
        np.testing.assert_allclose(weights, present / max(present.sum(), 1))
    one = np.full((1, 1), 4, "float32")
    np.testing.assert_array_equal(apply(min_norm_weights, one, np.ones(1, "float32")), [1])


def test_nonnegative_quadratic(apply):
    """Several right-hand sides at once; `|L' z - y|^2 / 2` has A = L L', b = L y."""
    random = np.random.RandomState(0)
    for _ in range(20):
        factor = random.normal(size=(4, 6))
        factor /= np.linalg.norm(factor, axis=1, keepdims=True)
        targets = random.normal(size=(6, 3))
        z = apply(
            nonnegative_quadratic,
            (factor @ factor.T).astype("float32"),
            (factor @ targets).astype("float32"),
        )
        expected = np.stack([nnls(factor.T, target)[0] for target in targets.T], axis=1)
        np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-5)
