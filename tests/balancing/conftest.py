import importlib
import sys
import types

import keras
import numpy as np
import pytest
from keras import ops

from keras_atinet.balancing.gradient_based.gradient_balancer import gram_matrix

SIZE = 12


def make_matrices():
    """Gradients as rows, `(K, 12)` float64 with values of float32: easy ones and hard ones."""
    matrices = {}
    for num_tasks in (2, 3, 5):
        random = np.random.RandomState(num_tasks)
        normal = random.normal(size=(num_tasks, SIZE))
        integer = random.randint(-4, 5, size=(num_tasks, SIZE)).astype("float64")
        spread = np.logspace(-2, 4, num_tasks)[:, None]
        around_zero = normal - normal.mean(axis=0)
        kinds = {
            "random": normal,
            # Every one opposes the mean of the others, and yet there is a common descent.
            "conflicting": around_zero + 0.2 * random.normal(size=SIZE),
            # Zero lies in the convex hull: the rows sum to it.
            "stationary": np.concatenate([integer[:-1], -integer[:-1].sum(0, keepdims=True)]),
            "parallel": np.arange(1, num_tasks + 1)[:, None] * integer[:1],
            "duplicate": np.concatenate([integer[:-1], integer[:1]]),
            "rank_deficient": np.concatenate([integer[:-1], integer[:-1].mean(0, keepdims=True)]),
            "zero_gradient": np.concatenate([normal[:-1], np.zeros((1, SIZE))]),
            "spread": spread * normal,
            "spread_conflicting": spread[::-1] * (around_zero + 0.2 * random.normal(size=SIZE)),
        }
        for kind, matrix in kinds.items():
            matrices[f"{kind}_{num_tasks}"] = matrix.astype("float32").astype("float64")
    return matrices


MATRICES = make_matrices()


class Runner:
    """Steps of a balancer as in training, compiled on TensorFlow and JAX; its state is kept.

    `weights` is what the last step gave for `gradient_weights`, as float64.
    """

    _compiled = {}

    def __init__(self, balancer):
        self.balancer = balancer

    def __call__(self, matrix, losses=None, present=None):
        """The combined gradient, `(n,)` float64, of gradients `(K, n)`; losses are 1 by default."""
        num_tasks = len(matrix)
        present = np.ones(num_tasks) if present is None else np.asarray(present)
        losses = present if losses is None else np.asarray(losses) * present
        if not self.balancer.built:
            self.balancer.build((num_tasks,))
            self.balancer.built = True
        arrays = [np.asarray(matrix) * present[:, None], losses, present]
        arrays = [ops.convert_to_tensor(array, "float32") for array in arrays]
        state = [variable.value for variable in self.balancer.variables]
        state, weights, combined = self._step(num_tasks)(state, *arrays)
        for variable, value in zip(self.balancer.variables, state, strict=True):
            variable.assign(value)
        self.weights = ops.convert_to_numpy(weights).astype("float64")
        return ops.convert_to_numpy(combined).astype("float64")

    def _step(self, num_tasks):
        """The step, compiled once for all balancers of this class and config."""
        config = {**self.balancer.get_config(), "name": None, "seed": None}
        key = (type(self.balancer), num_tasks, str(config))
        if key not in self._compiled:
            self._compiled[key] = compiled(stateless_step(self.balancer))
        return self._compiled[key]


def stateless_step(balancer):
    """A function of state, gradients, losses and presence that leaves the balancer as it is."""

    def step(state, matrix, losses, present):
        with keras.StatelessScope(zip(balancer.variables, state, strict=True)) as scope:
            # In two tensors, as the gradients of a network come in many.
            gradients = [[row[:5], ops.reshape(row[5:], (1, -1))] for row in ops.unstack(matrix)]
            weights = balancer.gradient_weights(gram_matrix(gradients), losses, present)
            combined = balancer.combine(gradients, weights)
        state = [scope.get_current_value(variable) for variable in balancer.variables]
        return state, weights, ops.concatenate([ops.reshape(part, (-1,)) for part in combined])

    return step


def compiled(function):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


@pytest.fixture(scope="session")
def matrices():
    return MATRICES


@pytest.fixture(scope="session")
def runner():
    """`run = runner(balancer)`, then `combined = run(matrix, losses=..., present=...)`."""
    return Runner


@pytest.fixture(scope="session")
def libmtl():
    """`weighting, result = libmtl("MGDA", matrix)`: one of LibMTL's weightings, fed by a matrix.

    After `weighting.backward(losses, ...)`, `result` holds its one gradient. Its files are taken
    one by one, because the package as a whole needs torchvision (`pip install --no-deps LibMTL`).
    """
    torch = pytest.importorskip("torch")
    spec = importlib.util.find_spec("LibMTL")
    if spec is None:
        pytest.skip("LibMTL is not installed")
    (root,) = spec.submodule_search_locations
    for name, path in (("LibMTL", root), ("LibMTL.weighting", f"{root}/weighting")):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [path]

    def make(name, matrix):
        result = []

        class Weighting(getattr(importlib.import_module(f"LibMTL.weighting.{name}"), name)):
            rep_grad, task_num, device = False, len(matrix), "cpu"
            _compute_grad_dim = lambda self: None  # noqa: E731
            _compute_grad = lambda self, losses, mode: torch.tensor(matrix).float()  # noqa: E731
            _reset_grad = lambda self, gradient: result.append(gradient.numpy())  # noqa: E731

        weighting = Weighting()
        weighting.init_param()
        return weighting, result

    return make


def ask(balancer, losses, present=None):
    """The objective and the weights of one step of a balancer that needs the losses only."""
    present = np.ones(len(losses), "float32") if present is None else np.float32(present)
    if not balancer.built:
        balancer.build((len(losses),))
        balancer.built = True
    present = ops.convert_to_tensor(present)
    losses = ops.convert_to_tensor(np.float32(losses)) * present
    objective = ops.convert_to_numpy(balancer(losses, present))
    return objective, ops.convert_to_numpy(balancer.task_weights(losses, present))


@pytest.fixture(name="ask", scope="session")
def _ask():
    return ask
