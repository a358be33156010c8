import numpy as np
import pytest

from keras_atinet.balancing import GeometricLoss

LOSSES = np.array([0.3, 7.0, 0.01, 40.0], "float32")


@pytest.mark.parametrize("present", [[1, 1, 1, 1], [1, 0, 1, 1], [0, 0, 1, 0]])
def test_reference(ask, present):
    inside = np.array(present, bool)
    expected = np.prod(LOSSES[inside].astype("float64")) ** (1 / inside.sum())
    objective, weights = ask(GeometricLoss(), LOSSES, present)
    np.testing.assert_allclose(objective, expected, rtol=1e-5)
    np.testing.assert_allclose(
        weights, np.where(inside, expected / inside.sum() / LOSSES, 0), rtol=1e-5
    )


def test_the_unit_of_a_loss_changes_all_gradients_alike(ask):
    """Of `w_k grad L_k`, in the unit that every loss had before."""
    units = np.array([1e3, 1.0, 0.1, 1e-2], "float32")
    _, weights = ask(GeometricLoss(), LOSSES)
    _, scaled = ask(GeometricLoss(), LOSSES * units)
    np.testing.assert_allclose(scaled * units / weights, np.prod(units) ** (1 / 4), rtol=1e-5)


def test_a_loss_of_zero_gets_no_gradient(ask):
    objective, weights = ask(GeometricLoss(), [0.0, 4.0])
    np.testing.assert_allclose(objective, 2e-4, rtol=1e-4)
    np.testing.assert_allclose(weights, [0, 2e-4 / 8], rtol=1e-4)


def test_equals_torchjd(ask):
    torchjd = pytest.importorskip("torchjd.scalarization")
    torch = pytest.importorskip("torch")
    losses = torch.tensor(LOSSES, requires_grad=True)
    expected = torchjd.GeometricMean()(losses)
    expected.backward()
    objective, weights = ask(GeometricLoss(), LOSSES)
    np.testing.assert_allclose(objective, expected.item(), rtol=1e-4)
    np.testing.assert_allclose(weights, losses.grad.numpy(), rtol=1e-4)
