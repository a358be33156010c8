import keras
import numpy as np
import pytest
from keras import ops

from keras_atinet.balancing import GradDrop
from keras_atinet.balancing.gradient_based.graddrop import sign_dropout


def reference(matrix, uniform, leak):
    """Eq. 1 and lines 10 to 15 of algorithm 1, elementwise."""
    size = np.abs(matrix).sum(axis=0)
    purity = 0.5 * (1 + matrix.sum(axis=0) / np.where(size > 0, size, 1))
    kept = (purity > uniform) * (matrix > 0) + (purity < uniform) * (matrix < 0)
    return ((leak + (1 - leak) * kept) * matrix).sum(axis=0)


@pytest.mark.parametrize("leak", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("num_tasks", [2, 3, 5])
def test_given_draws(matrices, apply, num_tasks, leak):
    """The reference; and TorchJD, whose leak is one number per task, with the same draws."""
    torch, torchjd = pytest.importorskip("torch"), pytest.importorskip("torchjd.aggregation")
    uniform = np.random.RandomState(0).uniform(size=12).astype("float32")
    for name, matrix in matrices.items():
        if len(matrix) != num_tasks:
            continue
        combined = apply(lambda m, u: sign_dropout(m, u, leak), matrix.astype("float32"), uniform)
        expected = reference(matrix, uniform, leak)
        atol = 1e-6 * np.abs(matrix).max()
        np.testing.assert_allclose(combined, expected, rtol=1e-5, atol=atol, err_msg=name)
        if (np.abs(matrix).sum(axis=0) > 0).all():  # TorchJD divides by it.
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(torch, "rand", lambda *_, **__: torch.tensor(uniform))
                theirs = torchjd.GradDrop(leak=torch.full((num_tasks,), leak))(
                    torch.tensor(matrix.astype("float32"))
                )
            np.testing.assert_allclose(combined, theirs.numpy(), rtol=1e-5, atol=atol)


def test_on_average(matrices, runner):
    """An element is `sum of positive parts` with probability P, else that of negative ones."""
    matrix, run = matrices["random_3"], runner(GradDrop(seed=0))
    draws = np.array([run(matrix) for _ in range(400)])
    positive, negative = np.maximum(matrix, 0).sum(axis=0), np.minimum(matrix, 0).sum(axis=0)
    is_positive = np.isclose(draws, positive, atol=1e-5)
    assert (is_positive | np.isclose(draws, negative, atol=1e-5)).all()
    purity = 0.5 * (1 + matrix.sum(axis=0) / np.abs(matrix).sum(axis=0))
    np.testing.assert_allclose(is_positive.mean(axis=0), purity, atol=0.1)
    # The draws of different elements are their own.
    mixed = np.ptp(purity) > 0.2 and len(np.unique(is_positive, axis=0)) > 20
    assert mixed


def test_agreement_is_the_sum(matrices, runner):
    matrix = np.abs(matrices["random_5"])
    np.testing.assert_allclose(runner(GradDrop())(matrix), matrix.sum(axis=0), rtol=1e-5)


def test_missing_gradients_and_half_precision():
    """`None` stands for zero; what comes in float16 leaves in float16, and may be scaled up."""
    balancer = GradDrop(seed=0)
    large = ops.full((4,), 60000.0, dtype="float16")
    none, same, one = balancer.combine([[None, large, None], [None, -large, large]], ops.ones((2,)))
    assert none is None
    assert keras.backend.standardize_dtype(same.dtype) == "float16"
    np.testing.assert_array_equal(np.abs(ops.convert_to_numpy(same)), ops.convert_to_numpy(large))
    np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(large))


@pytest.mark.parametrize("leak", [-0.1, 1.5, float("nan")])
def test_errors(leak):
    with pytest.raises(ValueError, match=r"`leak` of `GradDrop`.*Received: leak="):
        GradDrop(leak)
