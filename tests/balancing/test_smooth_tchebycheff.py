import numpy as np
import pytest

from keras_atinet.balancing import SmoothTchebycheff

LOSSES = np.array([0.3, 7.0, 0.01], "float32")
NADIR = np.array([0.6, 6.0, 0.1], "float32")


def make(mu=1.0, nadir=NADIR, warmup_epochs=1):
    balancer = SmoothTchebycheff(mu, warmup_epochs)
    balancer.build((len(nadir),))
    for _ in range(warmup_epochs):
        balancer.end_epoch(nadir)
    return balancer


def reference(losses, nadir, mu):
    terms = np.exp(np.log(losses.astype("float64") / nadir) / mu)
    shares = terms / terms.sum()
    return len(losses) * mu * np.log(terms.sum()), len(losses) * shares / losses


@pytest.mark.parametrize("mu", [0.05, 1.0, 10.0])
@pytest.mark.parametrize("present", [[1, 1, 1], [1, 0, 1]])
def test_reference(ask, mu, present):
    inside = np.array(present, bool)
    expected, expected_weights = reference(LOSSES[inside], NADIR[inside], mu)
    objective, weights = ask(make(mu), LOSSES, present)
    np.testing.assert_allclose(objective, expected, rtol=1e-4)
    np.testing.assert_allclose(weights[inside], expected_weights, rtol=1e-4, atol=1e-30)
    assert not weights[~inside].any()


def test_warm_up(ask):
    """The product of the losses, then the nadir of its last epoch."""
    balancer = SmoothTchebycheff(warmup_epochs=3)
    for factor in (4.0, 2.0, 1.0):
        objective, weights = ask(balancer, LOSSES)
        np.testing.assert_allclose(objective, np.log(LOSSES).sum(), rtol=1e-5)
        np.testing.assert_allclose(weights, 1 / LOSSES, rtol=1e-5)
        balancer.end_epoch(factor * NADIR)
    for _ in range(2):
        _, weights = ask(balancer, LOSSES)
        np.testing.assert_allclose(weights, reference(LOSSES, NADIR, 1.0)[1], rtol=1e-5)
        balancer.end_epoch(7 * NADIR)


@pytest.mark.parametrize("odd", [0.0, np.nan, np.inf])
def test_a_nadir_that_comes_later(ask, odd):
    balancer = make(nadir=np.array([0.6, odd, 0.1], "float32"))
    for nadir in (1.0, 6.0, 6.0):
        _, weights = ask(balancer, LOSSES)
        expected = reference(LOSSES, np.array([0.6, nadir, 0.1]), 1.0)[1]
        np.testing.assert_allclose(weights, expected, rtol=1e-5)
        balancer.end_epoch([1.0, 6.0, 1.0])


def test_low_mu_is_the_worst_task_and_high_mu_the_product(ask):
    ratios = LOSSES / NADIR
    objective, weights = ask(make(mu=1e-3), LOSSES)
    np.testing.assert_allclose(objective, 3 * np.log(ratios.max()), rtol=1e-4)
    np.testing.assert_allclose(weights, [0, 3 / LOSSES[1], 0], rtol=1e-5)
    _, weights = ask(make(mu=1e4), LOSSES)
    np.testing.assert_allclose(weights, 1 / LOSSES, rtol=1e-3)


def test_the_unit_of_a_loss_makes_no_difference(ask):
    units = np.array([1e3, 1.0, 0.1], "float32")
    objective, weights = ask(make(), LOSSES)
    scaled_objective, scaled = ask(make(nadir=NADIR * units), LOSSES * units)
    np.testing.assert_allclose(scaled_objective, objective, rtol=1e-4)
    np.testing.assert_allclose(scaled * units, weights, rtol=1e-4)


@pytest.mark.parametrize("mu", [0.1, 1.0])
def test_equals_torchjd(ask, mu):
    """Which has the paper's equation without logarithms: here, of `n log(L / N)`."""
    torchjd = pytest.importorskip("torchjd.scalarization")
    torch = pytest.importorskip("torch")
    losses = torch.tensor(LOSSES, requires_grad=True)
    logarithms = 3 * torch.log(losses / torch.tensor(NADIR))  # Its preferences are 1 / 3 each.
    expected = 3 * torchjd.STCH(mu)(logarithms)
    expected.backward()
    objective, weights = ask(make(mu), LOSSES)
    np.testing.assert_allclose(objective, expected.item(), rtol=1e-4)
    np.testing.assert_allclose(weights, losses.grad.numpy(), rtol=1e-4, atol=1e-20)


@pytest.mark.parametrize("arguments", [{"mu": 0}, {"warmup_epochs": 0}, {"warmup_epochs": 1.5}])
def test_refuses(arguments):
    with pytest.raises(ValueError, match=r"at least 1\. Received: mu="):
        SmoothTchebycheff(**arguments)
