"""Small convex problems, solved inside a compiled step."""

import numpy as np
from keras import ops

from keras_atinet.balancing.solvers.arithmetic import multiply

# Cosines in float32 are known to about 1e-7: below, a pivot is rounding.
SMALLEST_PIVOT = 1e-6


def nonnegative_quadratic(matrix, vectors):
    """`argmin_z z' A z / 2 - b' z` over `z >= 0`, for each of several b.

    The solution solves `A z = b` on its support, is 0 elsewhere, and there `A z >= b`. So all
    supports are tried and the one that violates these conditions least is taken; among equals the
    smallest. That is exact, and for K tasks costs `2^K - 1` linear systems of size K.

    Args:
        matrix: float32 tensor `(K, K)`, A: positive semidefinite, of diagonal 1. Problems without
            a minimum, along a `z >= 0` with `A z = 0`, give a large multiple of that z.
        vectors: float32 tensor `(K, B)`, the b as columns.

    Returns:
        Float32 tensor `(K, B)`, the z as columns.
    """
    supports = ops.convert_to_tensor(all_supports(matrix.shape[0]))
    z = supports[:, :, None] * solve_on_supports(matrix, vectors, supports)
    slack = (multiply(matrix, z) - vectors) * (1 - supports[:, :, None])
    violation = -ops.minimum(ops.min(z, axis=1), ops.min(slack, axis=1))
    violation = violation / ops.maximum(ops.max(ops.abs(z), axis=1), 1.0)
    best = ops.argmin(ops.maximum(violation, 1e-6), axis=0)
    chosen = ops.one_hot(best, supports.shape[0], axis=0, dtype="float32")
    return ops.maximum(ops.sum(chosen[:, None, :] * z, axis=0), 0.0)


def min_norm_weights(gram, present):
    """`argmin_a |sum_k a_k g_k|` over the simplex, `a >= 0` and `sum_k a_k = 1`.

    For the unit vectors `u_k = g_k / |g_k|` with cosines R and `c_k = min_j |g_j| / |g_k|` it is
    `a_k ~ c_k z_k`, where z minimizes `z' R z / 2 - c' z` over `z >= 0`: well scaled, however far
    the norms spread.

    Args:
        gram: float32 tensor `(K, K)`, `g_j . g_k`; zero where a task is absent.
        present: float32 tensor `(K,)`; tasks with 0 take no part.

    Returns:
        Float32 tensor `(K,)`; 0 for an absent task.
    """
    cosines, norms = normalize(gram)
    shortest = ops.min(ops.where(present > 0, norms, np.inf))
    # A gradient of zero is the shortest there can be.
    scale = present * ops.where(norms > shortest, ops.divide_no_nan(shortest, norms), 1.0)
    weights = scale * nonnegative_quadratic(cosines, scale[:, None])[:, 0]
    return ops.divide_no_nan(weights, ops.sum(weights))


def normalize(gram):
    """The cosines `(K, K)`, with 1 on the diagonal and 0 beside it for a zero gradient; `|g_k|`."""
    norms = ops.sqrt(ops.diagonal(gram))
    cosines = ops.divide_no_nan(ops.divide_no_nan(gram, norms[:, None]), norms[None, :])
    identity = ops.eye(gram.shape[0])
    return identity + (1 - identity) * ops.clip(cosines, -1.0, 1.0), norms


def all_supports(num_tasks):
    """All supports but the empty one, `(2^K - 1, K)`, small ones first."""
    numbers = np.arange(1, 2**num_tasks)
    supports = (numbers[:, None] >> np.arange(num_tasks)) % 2
    return supports[np.argsort(supports.sum(axis=1), kind="stable")].astype("float32")


def solve_on_supports(matrix, vectors, supports):
    """`A z = b` in the rows and columns of every support, by elimination; 0 elsewhere."""
    num_tasks = supports.shape[-1]
    identity = ops.eye(num_tasks)
    inside = supports[:, :, None] * supports[:, None, :]
    systems = inside * matrix + (1 - inside) * identity
    systems = ops.concatenate([systems, supports[:, :, None] * vectors], axis=2)
    # Symmetric and semidefinite: no exchange of rows is needed, and no backend's solver, some of
    # which refuse a singular matrix.
    # On PyTorch, Keras would copy the number to the device at every turn.
    smallest = identity[0, 0] * SMALLEST_PIVOT
    for k in range(num_tasks):
        pivot = ops.maximum(systems[:, k, k], smallest)[:, None]
        row = systems[:, k] / pivot
        column = ops.where(identity[k] > 0, pivot - 1, systems[:, :, k])
        systems = systems - column[:, :, None] * row[:, None, :]
    return systems[:, :, num_tasks:]
