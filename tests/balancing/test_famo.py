import numpy as np
import pytest

from keras_atinet.balancing import FAMO

LOSSES = np.random.RandomState(0).lognormal(sigma=1.5, size=(12, 4)).astype("float32")


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


class Reference:
    """The equations in float64, for tasks that are always there."""

    def __init__(self, num_tasks, learning_rate=0.025, weight_decay=0.001):
        self.w, self.m, self.v = np.zeros((3, num_tasks))
        self.t, self.last = 0, None
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def __call__(self, losses):
        losses = losses.astype("float64")
        if self.last is not None:
            z = softmax(self.w)
            delta = np.log(self.last) - np.log(losses)
            gradient = (np.diag(z) - np.outer(z, z)) @ delta + self.weight_decay * self.w
            self.t += 1
            self.m = 0.9 * self.m + 0.1 * gradient
            self.v = 0.999 * self.v + 0.001 * gradient**2
            m, v = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
            self.w = self.w - self.learning_rate * m / (np.sqrt(v) + 1e-8)
        self.last = losses
        z = softmax(self.w)
        c = 1 / np.sum(z / losses)
        return c * np.sum(z * np.log(losses)), c * z / losses


@pytest.mark.parametrize("arguments", [(), (0.3, 0.1)])
def test_reference(ask, arguments):
    balancer, reference = FAMO(*arguments), Reference(4, *arguments)
    for losses in LOSSES:
        objective, weights = ask(balancer, losses)
        expected, expected_weights = reference(losses)
        np.testing.assert_allclose(objective, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(weights, expected_weights, rtol=1e-4)
        assert weights.sum() == pytest.approx(1, rel=1e-5)


def test_equals_torchjd(ask):
    """Whose update sees the losses after the step: here, those of the next one."""
    torchjd = pytest.importorskip("torchjd.scalarization")
    torch = pytest.importorskip("torch")
    theirs, balancer = torchjd.FAMO(4, lr=0.1), FAMO(learning_rate=0.1)
    for step, array in enumerate(LOSSES):
        losses = torch.tensor(array, requires_grad=True)
        if step:
            theirs.update(losses)
        expected = theirs(losses)
        expected.backward()
        objective, weights = ask(balancer, array)
        np.testing.assert_allclose(objective, expected.item(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(weights, losses.grad.numpy(), rtol=1e-4)


def test_the_unit_of_a_loss_makes_no_difference(ask):
    """The shares of the tasks in `sum_k w_k grad L_k`, in one unit, stay as they are."""
    units = np.array([1e3, 1.0, 0.1, 1e-2], "float32")
    balancer, scaled = FAMO(), FAMO()
    for losses in LOSSES:
        shares = ask(balancer, losses)[1]
        scaled_shares = ask(scaled, losses * units)[1] * units
        np.testing.assert_allclose(
            scaled_shares / scaled_shares.sum(), shares / shares.sum(), rtol=1e-3
        )


def test_the_task_that_falls_behind_gains(ask):
    balancer = FAMO()
    for step in range(50):
        losses = np.exp(-0.1 * np.array([step, 0, -step]))
        _, weights = ask(balancer, losses)
    shares = weights * losses / np.sum(weights * losses)
    assert shares[2] > 0.8 and max(shares[:2]) < 0.1
    # Adam takes steps of one learning rate.
    np.testing.assert_allclose(np.log(shares[2] / shares[0]), 2 * 49 * 0.025, rtol=0.1)


def test_a_task_that_comes_and_goes(ask):
    """Two tasks that are always there, two never together: the last sight of each counts."""
    balancer, pairs = FAMO(), [FAMO(), FAMO()]
    pattern = [[1, 1, 0, 0], [0, 0, 1, 1]]
    for step, losses in enumerate(LOSSES):
        turn = step % 2
        _, weights = ask(balancer, losses, pattern[turn])
        _, expected = ask(pairs[turn], losses[2 * turn : 2 * turn + 2])
        np.testing.assert_allclose(weights[2 * turn : 2 * turn + 2], expected, rtol=1e-5)
        assert not weights[2 - 2 * turn : 4 - 2 * turn].any()


@pytest.mark.parametrize("arguments", [{"learning_rate": 0}, {"weight_decay": -1}])
def test_refuses(arguments):
    with pytest.raises(ValueError, match=r"weight_decay` not below 0\. Received: learning_rate="):
        FAMO(**arguments)
