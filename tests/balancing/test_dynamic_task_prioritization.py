import numpy as np
import pytest

from keras_atinet.balancing import DynamicTaskPrioritization

LOSSES = np.random.RandomState(0).lognormal(size=(6, 3)).astype("float32")


def focal(mean, gamma):
    kappa = np.exp(-mean)
    return -((1 - kappa) ** gamma) * np.log(kappa)


@pytest.mark.parametrize(("gamma", "momentum"), [(1.0, 0.9), (2.5, 0.5), (0.0, 0.0)])
def test_reference(ask, gamma, momentum):
    balancer = DynamicTaskPrioritization(gamma, momentum)
    mean = LOSSES[0].astype("float64")
    for losses in LOSSES:
        mean = momentum * mean + (1 - momentum) * losses
        objective, weights = ask(balancer, losses)
        np.testing.assert_allclose(weights, focal(mean, gamma), rtol=1e-5)
        np.testing.assert_allclose(objective, focal(mean, gamma) @ losses, rtol=1e-5)


def test_the_average_is_over_the_steps_with_the_task(ask):
    balancer = DynamicTaskPrioritization(momentum=0.5)
    for losses, present in (([4.0, 1.0], [0, 1]), ([2.0, 1.0], [1, 1]), ([9.0, 1.0], [0, 1])):
        ask(balancer, losses, present)
    _, weights = ask(balancer, [6.0, 1.0])
    np.testing.assert_allclose(weights, focal(np.array([4.0, 1.0]), 1.0), rtol=1e-5)


def test_the_worse_task_counts_more_and_the_better_the_less_the_higher_gamma(ask):
    shares = []
    for gamma in (0.0, 1.0, 4.0):
        _, weights = ask(DynamicTaskPrioritization(gamma), [0.1, 2.0])
        shares.append(weights[0] / weights[1])
    assert 1 > shares[0] > shares[1] > shares[2] > 0


def test_small_losses_are_exact(ask):
    """`1 - exp(-m)` of a small m would be lost in float32."""
    _, weights = ask(DynamicTaskPrioritization(gamma=2.0), [1e-9, 1e-3])
    np.testing.assert_allclose(weights, [1e-27, 1e-3 * np.expm1(-1e-3) ** 2], rtol=1e-4)


@pytest.mark.parametrize("arguments", [{"gamma": -1}, {"momentum": 1.0}, {"gamma": np.nan}])
def test_refuses(arguments):
    with pytest.raises(ValueError, match=r"momentum` in \[0, 1\)\. Received: gamma="):
        DynamicTaskPrioritization(**arguments)
