import itertools

import keras
from keras import ops

from keras_atinet.balancing.balancer import Balancer

OVER = ("shared_weights", "bottleneck")


@keras.saving.register_keras_serializable(package="keras_atinet")
class GradientBalancer(Balancer):
    """Weights the tasks' gradients with respect to what they share; by itself, it adds them up.

    With `g_k` the gradient of the loss of task k with respect to what the tasks share, the update
    follows `sum_k w_k g_k`. Weights of the network that belong to one task (masks, heads) always
    get the gradient of their own task. A subclass gives `w` from the inner products `G_jk = g_j .
    g_k` (`gradient_weights`), or the sum itself (`combine`). Its state is in weights that are not
    trainable: the update has no gradient with respect to the balancer's own.

    Args:
        over: what the gradients are taken with respect to. `"shared_weights"` is exact: one
            backward pass for each task through the shared network. `"bottleneck"`, the idea of
            MGDA-UB: the features that the shared network hands to the tasks, and the shared
            weights after them; their sum then goes back through the shared network once.
            Defaults to `"shared_weights"`.
        diagnostics: bool, also log the norm of every `g_k` (`<task>_gradient_norm`) and the cosine
            of every pair (`<task>_<task>_cosine`). Defaults to `False`.

    Raises:
        ValueError: if `over` is none of these.

    Example:
        >>> watch = keras_atinet.balancing.GradientBalancer(diagnostics=True)
        >>> model.compile("adam", balancer=watch)  # equal weights, and how the tasks get along

    Reference: MGDA-UB, Sener and Koltun, NeurIPS 2018, section 3.3.
    """

    needs_gradients = True

    def __init__(self, over="shared_weights", diagnostics=False, **kwargs):
        super().__init__(**kwargs)
        if over not in OVER:
            raise ValueError(
                f"`over` of `{type(self).__name__}` must be one of {OVER}. Received: over={over!r}."
            )
        self.over = over
        self.diagnostics = diagnostics

    def gradient_weights(self, gram, losses, present):
        """The weight of every task's gradient.

        Args:
            gram: float32 tensor `(K, K)`, `g_j . g_k`; zero where a task is absent.
            losses, present: float32 tensors `(K,)`, as for `Balancer`.

        Returns:
            Float32 tensor `(K,)`.
        """
        return ops.ones_like(losses)

    def combine(self, gradients, weights):
        """One gradient from those of the tasks: `sum_k w_k g_k`.

        Args:
            gradients: list over the tasks of lists of tensors (or `None`).
            weights: float32 tensor `(K,)`, from `gradient_weights`.

        Returns:
            List of tensors (or `None`).
        """
        weights = ops.unstack(weights)
        return [add(map(times, weights, column)) for column in zip(*gradients, strict=True)]

    def gradient_logs(self, gram, names):
        """What `diagnostics` logs, a dict of scalars."""
        norms = ops.sqrt(ops.diagonal(gram))
        logs = {f"{name}_gradient_norm": norms[k] for k, name in enumerate(names)}
        for j, k in itertools.combinations(range(len(names)), 2):
            cosine = ops.divide_no_nan(gram[j, k], norms[j] * norms[k])
            logs[f"{names[j]}_{names[k]}_cosine"] = cosine
        return logs

    def get_config(self):
        return {**super().get_config(), "over": self.over, "diagnostics": self.diagnostics}


def gram_matrix(gradients):
    """The inner products of the tasks' gradients, `(K, K)` float32.

    Args:
        gradients: list over the tasks of lists of tensors; `None` stands for zero.
    """
    gradients = [[None if g is None else ops.cast(g, "float32") for g in row] for row in gradients]
    gram = [[None] * len(gradients) for _ in gradients]
    for j, k in itertools.combinations_with_replacement(range(len(gradients)), 2):
        pairs = zip(gradients[j], gradients[k], strict=True)
        # Not `matmul`, which rounds to fewer bits on some GPUs.
        products = (ops.sum(a * b) for a, b in pairs if a is not None and b is not None)
        gram[j][k] = gram[k][j] = sum(products, ops.zeros(()))
    return ops.stack([ops.stack(row) for row in gram])


def times(weight, gradient):
    """`w g` in the dtype of g, which may be `None`."""
    if gradient is None:
        return None
    # A weight may be too large for float16 where the product is not.
    return ops.cast(weight * ops.cast(gradient, "float32"), gradient.dtype)


def add(tensors):
    """The sum of the tensors that are not `None`; `None` if all are."""
    tensors = [tensor for tensor in tensors if tensor is not None]
    return sum(tensors[1:], tensors[0]) if tensors else None
