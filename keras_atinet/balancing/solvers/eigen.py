"""Eigenvalues of small matrices, inside a compiled step and to high relative accuracy."""

import itertools

import numpy as np
from keras import ops

from keras_atinet.balancing.solvers.arithmetic import multiply

SWEEPS = 8


def eigen(matrix):
    """Eigenvalues and eigenvectors of a symmetric, positive semidefinite matrix.

    Jacobi's method: plane rotations, each of which zeroes one entry off the diagonal. Unlike
    `keras.ops.eigh` it keeps the small eigenvalues of inner products whose norms spread widely
    (Demmel and Veselic, 1992), and no backend refuses a matrix that is not finite.

    Args:
        matrix: float32 tensor `(K, K)`.

    Returns:
        Float32 tensors: eigenvalues `(K,)` in no order; eigenvectors `(K, K)` as columns.
    """
    size = matrix.shape[0]
    identity = ops.eye(size)
    pairs = np.array([*itertools.combinations(range(size), 2)], "int64").reshape(-1, 2)
    firsts, seconds = (ops.convert_to_tensor(np.eye(size, dtype="float32")[p]) for p in pairs.T)

    def rotate(step, state):
        matrix, vectors = state
        i, j = firsts[step % len(pairs)], seconds[step % len(pairs)]
        entry = lambda a, b: ops.sum(matrix * a[:, None] * b[None, :])  # noqa: E731
        double, difference = 2 * entry(i, j), entry(j, j) - entry(i, i)
        hypotenuse = ops.sqrt(difference * difference + double * double)
        double = ops.where(difference < 0, -double, double)
        tangent = ops.divide_no_nan(double, ops.abs(difference) + hypotenuse)
        cosine = 1 / ops.sqrt(1 + tangent * tangent)
        both = i[:, None] * i[None, :] + j[:, None] * j[None, :]
        turn = i[:, None] * j[None, :] - j[:, None] * i[None, :]
        rotation = identity + (cosine - 1) * both + cosine * tangent * turn
        matrix = multiply(ops.transpose(rotation), multiply(matrix, rotation))
        return matrix, multiply(vectors, rotation)

    state = ops.cast(matrix, "float32"), identity
    if len(pairs):
        state = ops.fori_loop(0, SWEEPS * len(pairs), rotate, state)
    return ops.diagonal(state[0]), state[1]
