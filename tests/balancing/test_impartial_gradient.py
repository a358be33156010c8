import numpy as np
import pytest

from keras_atinet.balancing import ImpartialGradient

# Independent gradients; elsewhere the paper divides by zero.
INDEPENDENT = ("random", "conflicting", "spread", "spread_conflicting")


def independent(matrices):
    return {name: m for name, m in matrices.items() if name.rpartition("_")[0] in INDEPENDENT}


def closed_form(matrix):
    """`(w_2, ..., w_K) = g_1 U' (D U')^-1`, with rows `u_1 - u_k` and `g_1 - g_k`."""
    units = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    differences, turns = matrix[0] - matrix[1:], units[0] - units[1:]
    others = np.linalg.solve((differences @ turns.T).T, turns @ matrix[0])
    return np.concatenate([[1 - others.sum()], others]) @ matrix


@pytest.fixture(scope="module")
def run(runner):
    """One for all tests: compiled once for every number of tasks."""
    return runner(ImpartialGradient())


def test_reference(matrices, run):
    for name, matrix in independent(matrices).items():
        expected = closed_form(matrix)
        error = np.linalg.norm(run(matrix) - expected)
        assert error <= 1e-4 * np.linalg.norm(expected), name
        assert run.weights.sum() == pytest.approx(1, abs=1e-5)


def test_goes_equally_far_along_all(matrices, run):
    for name, matrix in matrices.items():
        combined = run(matrix)
        norms = np.linalg.norm(matrix, axis=1)
        steps = (matrix @ combined)[norms > 0] / norms[norms > 0]
        size = np.linalg.norm(run.weights[:, None] * matrix)
        np.testing.assert_allclose(steps, steps[0], atol=1e-4 * size, err_msg=name)


def test_torchjd(matrices, run):
    """The same for independent gradients; for dependent ones TorchJD's weights are the shortest."""
    torch = pytest.importorskip("torch")
    imtl_g = pytest.importorskip("torchjd.aggregation").IMTLG()
    for name, matrix in matrices.items():
        expected = imtl_g(torch.tensor(matrix)).numpy()
        combined = run(matrix)
        if name in independent(matrices):
            tolerance = 1e-4
        elif "parallel" in name or "duplicate" in name:
            # Ours: the shortest weights of the unit vectors. The direction is the same.
            combined, expected = (v / np.linalg.norm(v) for v in (combined, expected))
            tolerance = 1e-4
        else:
            continue  # No equal steps, or (a gradient of zero) another problem.
        error = np.linalg.norm(combined - expected)
        assert error <= tolerance * np.linalg.norm(expected), (name, combined, expected)


def test_libmtl(libmtl, matrices, runner):
    """LibMTL's hybrid, whose loss scales are 1 in the first step, in float32."""
    torch = pytest.importorskip("torch")
    for name in ("random_2", "random_3", "conflicting_3", "random_5"):
        weighting, result = libmtl("IMTL", matrices[name])
        weighting._backward_new_grads = lambda weights, grads, out=result: out.append(
            (weights @ grads).detach().numpy()
        )
        weighting.backward(torch.ones(len(matrices[name])))
        error = np.linalg.norm(runner(ImpartialGradient())(matrices[name]) - result[0])
        assert error <= 1e-4 * np.linalg.norm(result[0]), name


def test_direction_does_not_change_with_the_scale_of_losses(matrices, runner):
    run = runner(ImpartialGradient())
    for name in ("random_3", "conflicting_3"):
        combined = run(matrices[name])
        scaled = run(matrices[name] * np.array([[1.0], [1e-3], [1e3]]))
        combined, scaled = combined / np.linalg.norm(combined), scaled / np.linalg.norm(scaled)
        np.testing.assert_allclose(scaled, combined, atol=1e-4)


def test_opposite_gradients_give_zero(runner):
    gradient = np.arange(12.0)
    run = runner(ImpartialGradient())
    np.testing.assert_allclose(run(np.stack([gradient, -2 * gradient])), 0, atol=1e-4)
    np.testing.assert_allclose(run.weights, [2 / 3, 1 / 3], rtol=1e-5)
