import keras
import numpy as np
from keras import ops

from keras_atinet.balancing import RandomLossWeighting

LOSSES = np.array([1.0, 2.0, 3.0], "float32")


def draw(ask, balancer, steps, present=(1, 1, 1)):
    return np.array([ask(balancer, LOSSES, present)[1] for _ in range(steps)])


def test_weights_are_the_softmax_of_normal_numbers(ask):
    """The logarithms of two weights differ by a normal number of variance 2."""
    weights = draw(ask, RandomLossWeighting(seed=1), 500)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(weights.mean(axis=0), 1 / 3, atol=0.05)
    for j, k in ((0, 1), (0, 2), (1, 2)):
        difference = np.log(weights[:, j]) - np.log(weights[:, k])
        assert abs(difference.mean()) < 0.2
        np.testing.assert_allclose(difference.std(), np.sqrt(2), rtol=0.15)
        np.testing.assert_allclose(np.mean(abs(difference) < np.sqrt(2)), 0.683, atol=0.06)


def test_reference(ask):
    generator = keras.random.SeedGenerator(5)
    balancer = RandomLossWeighting(seed=5)
    for present in ([1, 1, 1], [1, 0, 1], [0, 0, 1]):
        draws = ops.convert_to_numpy(keras.random.normal((3,), seed=generator)).astype("float64")
        expected = np.exp(draws) * present
        expected /= expected.sum()
        objective, weights = ask(balancer, LOSSES, present)
        np.testing.assert_allclose(weights, expected, rtol=1e-5)
        np.testing.assert_allclose(objective, expected @ LOSSES, rtol=1e-5)


def test_seeds(ask):
    keras.utils.set_random_seed(0)
    first, second = RandomLossWeighting(), RandomLossWeighting()
    keras.utils.set_random_seed(0)
    again = RandomLossWeighting()
    first, second, again = (draw(ask, balancer, 2) for balancer in (first, second, again))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second) and not np.array_equal(first[0], first[1])
