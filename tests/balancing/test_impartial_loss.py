import numpy as np
import pytest
from keras import ops

from keras_atinet.balancing import ImpartialLoss

LOSSES = np.array([0.3, 7.0, 0.01], "float32")
LOG_SCALES = np.array([0.5, -1.0, 3.0], "float32")


def make(log_scales=LOG_SCALES):
    balancer = ImpartialLoss()
    balancer.build((len(log_scales),))
    balancer.log_scales.assign(log_scales)
    return balancer


def test_reference(ask):
    s = LOG_SCALES.astype("float64")
    objective, weights = ask(make(), LOSSES)
    np.testing.assert_allclose(objective, np.sum(np.exp(s) * LOSSES - s), rtol=1e-5)
    np.testing.assert_allclose(weights, np.exp(s), rtol=1e-6)


def test_begins_with_equal_weights(ask):
    objective, weights = ask(ImpartialLoss(), LOSSES)
    assert objective == pytest.approx(LOSSES.sum()) and (weights == 1).all()


def slope(gradient, log_scales, losses, present=(1, 1, 1)):
    """The derivative of the objective by the logarithms of the scales."""
    arguments = [ops.convert_to_tensor(np.float32(array)) for array in (losses, present)]
    return gradient(lambda s: make().stateless_call([s], [], *arguments)[0], log_scales)


@pytest.mark.parametrize("present", [[1, 1, 1], [1, 0, 1]])
def test_an_absent_task_gives_its_scale_no_gradient(present, gradient):
    actual = slope(gradient, LOG_SCALES, LOSSES * present, present)
    np.testing.assert_allclose(actual, present * (np.exp(LOG_SCALES) * LOSSES - 1), rtol=1e-5)


def test_scales_that_are_learned_make_the_losses_equal(ask, gradient):
    """The derivative by `log L` is 1 for all tasks, in whatever unit."""
    np.testing.assert_allclose(slope(gradient, -np.log(LOSSES), LOSSES), 0, atol=1e-6)
    _, weights = ask(make(-np.log(LOSSES)), LOSSES)
    np.testing.assert_allclose(weights * LOSSES, 1, rtol=1e-5)


def test_equals_torchjd(ask):
    torchjd = pytest.importorskip("torchjd.scalarization")
    torch = pytest.importorskip("torch")
    theirs = torchjd.IMTLL(3)
    with torch.no_grad():
        theirs.log_scale.copy_(torch.tensor(LOG_SCALES))
    losses = torch.tensor(LOSSES, requires_grad=True)
    expected = theirs(losses)
    expected.backward()
    objective, weights = ask(make(), LOSSES)
    np.testing.assert_allclose(objective, expected.item(), rtol=1e-4)
    np.testing.assert_allclose(weights, losses.grad.numpy(), rtol=1e-4)
