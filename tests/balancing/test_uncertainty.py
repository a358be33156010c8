import numpy as np
import pytest
from keras import ops

from keras_atinet.balancing import Uncertainty

LOSSES = np.array([0.3, 7.0, 0.01], "float32")
LOG_VARIANCES = np.array([0.5, -1.0, 3.0], "float32")


def make(log_variances=LOG_VARIANCES):
    balancer = Uncertainty()
    balancer.build((len(log_variances),))
    balancer.log_variances.assign(log_variances)
    return balancer


def test_reference(ask):
    s = LOG_VARIANCES.astype("float64")
    objective, weights = ask(make(), LOSSES)
    np.testing.assert_allclose(objective, np.sum(LOSSES / (2 * np.exp(s)) + s / 2), rtol=1e-6)
    np.testing.assert_allclose(weights, 1 / (2 * np.exp(s)), rtol=1e-6)


def test_begins_with_half(ask):
    objective, weights = ask(Uncertainty(), LOSSES)
    assert objective == pytest.approx(LOSSES.sum() / 2) and (weights == 0.5).all()


def slope(gradient, log_variances, losses, present=(1, 1, 1)):
    """The derivative of the objective by the log-variances."""
    arguments = [ops.convert_to_tensor(np.float32(array)) for array in (losses, present)]
    return gradient(lambda s: make().stateless_call([s], [], *arguments)[0], log_variances)


@pytest.mark.parametrize("present", [[1, 1, 1], [1, 0, 1]])
def test_an_absent_task_gives_its_variance_no_gradient(present, gradient):
    actual = slope(gradient, LOG_VARIANCES, LOSSES * present, present)
    expected = present * (1 - LOSSES * np.exp(-LOG_VARIANCES)) / 2
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_variances_that_are_learned_are_the_losses(ask, gradient):
    """Then the derivative by `log L` is 1 / 2 for all tasks, in whatever unit."""
    np.testing.assert_allclose(slope(gradient, np.log(LOSSES), LOSSES), 0, atol=1e-6)
    _, weights = ask(make(np.log(LOSSES)), LOSSES)
    np.testing.assert_allclose(weights * LOSSES, 0.5, rtol=1e-5)


def test_equals_torchjd(ask):
    torchjd = pytest.importorskip("torchjd.scalarization")
    torch = pytest.importorskip("torch")
    theirs = torchjd.UW(3)
    with torch.no_grad():
        theirs.log_var.copy_(torch.tensor(LOG_VARIANCES))
    losses = torch.tensor(LOSSES, requires_grad=True)
    expected = theirs(losses)
    expected.backward()
    objective, weights = ask(make(), LOSSES)
    np.testing.assert_allclose(objective, expected.item(), rtol=1e-4)
    np.testing.assert_allclose(weights, losses.grad.numpy(), rtol=1e-4)
