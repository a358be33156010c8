import keras
import numpy as np
import pytest

from keras_atinet.balancing import GradNorm

LOSSES = [[2.0, 1.0, 0.5], [1.0, 0.9, 0.7], [0.5, 0.9, 0.1], [0.4, 1.5, 0.1]]


def slope(weights, norms, losses, initial, alpha):
    """The derivative of eq. 2 by the weights, with the target as a constant."""
    rates = losses / initial
    rates = rates / rates.mean()
    lengths = weights * norms
    return norms * np.sign(lengths - lengths.mean() * rates**alpha)


def reference(weights, norms, losses, initial, alpha, learning_rate):
    """Algorithm 1: a step of gradient descent, then a scaling to the sum K."""
    updated = weights - learning_rate * slope(weights, norms, losses, initial, alpha)
    updated = np.maximum(updated, 1e-3)
    return len(weights) * updated / updated.sum()


def state(run):
    return [keras.ops.convert_to_numpy(variable) for variable in run.balancer.variables]


@pytest.mark.parametrize("alpha", [0.0, 0.12, 1.5])
def test_reference(matrices, runner, alpha):
    run = runner(GradNorm(alpha, learning_rate=0.01))
    weights = np.ones(3)
    names = ["random_3", "conflicting_3", "zero_gradient_3", "rank_deficient_3"]
    for name, losses in zip(names, np.array(LOSSES), strict=True):
        matrix = matrices[name]
        # A step uses the weights of before.
        np.testing.assert_allclose(run(matrix, losses), weights @ matrix, rtol=1e-4, atol=1e-5)
        norms = np.linalg.norm(matrix, axis=1)
        weights = reference(weights, norms, losses, np.array(LOSSES[0]), alpha, 0.01)
        np.testing.assert_allclose(state(run)[0], weights, rtol=1e-4)
    assert np.ptp(weights) > 0.01


def test_weights_stay_positive_and_sum_to_the_number_of_tasks(matrices, runner):
    run = runner(GradNorm())
    for k in range(20):
        run(matrices["spread_5"], losses=np.linspace(1, 5, 5) * (k + 1))
        weights = state(run)[0]
        assert weights.min() > 0 and weights.sum() == pytest.approx(5, rel=1e-5)


def test_it_equalizes_the_norms(matrices, runner):
    """Of equal rates and steady gradients: `w_k |g_k|` come to be the same."""
    run = runner(GradNorm(learning_rate=0.002))
    matrix = matrices["random_3"] * np.array([1.0, 2.0, 4.0])[:, None]
    for _ in range(300):
        run(matrix)
    lengths = state(run)[0] * np.linalg.norm(matrix, axis=1)
    np.testing.assert_allclose(lengths, lengths.mean(), rtol=0.05)


def test_slow_tasks_gain(matrices, runner):
    run = runner(GradNorm(learning_rate=0.002))
    matrix = matrices["random_2"] / np.linalg.norm(matrices["random_2"], axis=1, keepdims=True)
    for losses in ([4.0, 1.0], *[[2.0, 0.9]] * 20):
        run(matrix, losses)
    weights = state(run)[0]
    assert weights[1] > 1 > weights[0]


def test_an_absent_task_takes_no_part(matrices, runner):
    """The others go as without it, and its weight waits; it is first seen when it is present."""
    with_absent, without = runner(GradNorm()), runner(GradNorm())
    matrix, present = matrices["random_3"], np.array([1, 0, 1])
    for losses in np.array(LOSSES):
        combined = with_absent(matrix, losses, present)
        expected = without(matrix[present > 0], losses[present > 0])
        np.testing.assert_allclose(combined, expected, rtol=1e-5, atol=1e-6)
    weights, initial = state(with_absent)
    np.testing.assert_allclose(weights[[0, 2]], state(without)[0], rtol=1e-5)
    np.testing.assert_array_equal(initial, [LOSSES[0][0], 0, LOSSES[0][2]])
    assert weights[1] == 1
    with_absent(matrix, [0.3, 7.0, 0.3])
    assert state(with_absent)[1][1] == 7


@pytest.mark.parametrize("losses", [[0.0, 0.0], [1e-38, 1.0], [1e30, 1e-30]])
def test_odd_losses_stay_finite(matrices, runner, losses):
    run = runner(GradNorm())
    for step in (losses, losses[::-1], [1.0, 2.0]):
        assert np.isfinite(run(matrices["random_2"], step)).all()
        assert np.isfinite(state(run)[0]).all() and state(run)[0].sum() == pytest.approx(2)


def test_a_step_that_overflows_is_left_out(matrices, runner):
    run = runner(GradNorm())
    run(matrices["random_2"])
    before = state(run)[0]
    run(matrices["random_2"] * np.array([[np.inf], [1]]))
    np.testing.assert_array_equal(state(run)[0], before)


def test_slope_against_libmtl(matrices, libmtl):
    """LibMTL learns the logits of a softmax by the network's optimizer; the slope is the same."""
    torch = pytest.importorskip("torch")
    matrix, losses, initial = matrices["random_3"], np.array(LOSSES[2]), np.array(LOSSES[0])
    weighting, _ = libmtl("GradNorm", matrix)
    weighting.epoch, weighting.train_loss_buffer = 1, initial[:, None]
    weighting.backward(torch.tensor(losses), alpha=1.5)
    expected = slope(np.ones(3), np.linalg.norm(matrix, axis=1), losses, initial, 1.5)
    # The derivative of `3 softmax` at equal logits takes the mean off.
    np.testing.assert_allclose(
        weighting.loss_scale.grad.numpy(), expected - expected.mean(), rtol=1e-4
    )


@pytest.mark.parametrize("arguments", [{"alpha": -1}, {"learning_rate": 0}])
def test_errors(arguments):
    with pytest.raises(ValueError, match=r"`alpha` of `GradNorm`.*Received: alpha="):
        GradNorm(**arguments)
