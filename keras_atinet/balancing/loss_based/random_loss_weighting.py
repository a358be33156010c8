import keras

from keras_atinet.balancing.balancer import Balancer
from keras_atinet.balancing.solvers.arithmetic import present_softmax
from keras_atinet.balancing.solvers.random import Random


@keras.saving.register_keras_serializable(package="keras_atinet")
class RandomLossWeighting(Random, Balancer):
    """New random weights in every step: `w = softmax(n)`, `n_k ~ Normal(0, 1)`.

    As in the paper the weights sum to 1, so that a step is 1 / K of that of `Equal` on average;
    Adam does not notice. The softmax is over the tasks that are present. The state of the random
    numbers is saved with the model; the three backends draw different ones.

    Costs nothing. A baseline: what does not beat it balances nothing.

    Args:
        seed: optional int; `None` takes one from `keras.utils.set_random_seed`.

    Example:
        >>> model.compile("adam", balancer="rlw")

    Reference: Lin, Ye, Zhang and Tsang, Reasonable Effectiveness of Random Weighting: A Litmus Test
    for Multi-Task Learning, TMLR 2022.
    """

    def build(self, losses_shape):
        self.current_weights = self.add_weight(
            shape=losses_shape, initializer="ones", trainable=False, name="current_weights"
        )

    def call(self, losses, present):
        draws = keras.random.normal(losses.shape, dtype="float32", seed=self.seed_generator)
        self.current_weights.assign(present_softmax(draws, present))
        return super().call(losses, present)

    def task_weights(self, losses, present):
        return self.current_weights.value
