"""What balancers share that draw random numbers."""

import keras
from keras import ops


class Random:
    """Makes a balancer draw random numbers, and go on with them after a resume.

    Args:
        seed: optional int; `None` takes one from `keras.utils.set_random_seed`.
        **kwargs: as for the balancer.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    # Keras saves the weights of a layer, not the state of its random numbers.
    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["seed"] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store):
        self.seed_generator.state.assign(store["seed"])
        names = [name for name in store.keys() if name != "seed"]  # noqa: SIM118
        super().load_own_variables({name: store[name] for name in names})

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


def random_orders(num_tasks, seed_generator):
    """For every task the others in an order of its own.

    Returns:
        Float32 tensor `(K, K, K)`: `[step, k, j]` is 1 where task k meets `j != k` in this step.
    """
    draws = keras.random.uniform((num_tasks, num_tasks), dtype="float32", seed=seed_generator)
    orders = ops.one_hot(ops.argsort(draws, axis=1), num_tasks, dtype="float32")
    return ops.transpose(orders, (1, 0, 2)) * (1 - ops.eye(num_tasks))
