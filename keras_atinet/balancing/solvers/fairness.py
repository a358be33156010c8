"""The weights of Nash-MTL and FairGrad."""

from keras import ops

from keras_atinet.balancing.solvers.quadratic import normalize, solve_on_supports

STEPS = 24
# Bounds the weights where the gradients cancel each other and no weights are fair.
RIDGE = 1e-6


def fair_weights(gram, alpha=1.0):
    """The w > 0 with `G w = w^(-1 / alpha)`; 0 where a gradient is 0.

    With unit vectors of cosines R and `w_k = y_k / |g_k|` it reads `R y = q y^(-p)` for p =
    1 / alpha and `q_k = |g_k|^(p - 1)`. Where any solve it, y is the only minimizer of

    `y' R y / 2 - sum_k q_k integral(y_k^(-p))`,

    found by Newton's method from a multiple of `q^(1 / (p + 1))`; a step changes log y by at most
    2, which made it converge from everywhere.

    Args:
        gram: float32 tensor `(K, K)`, G.
        alpha: float above 0.

    Returns:
        Float32 tensor `(K,)`.
    """
    cosines, norms = normalize(gram)
    cosines = cosines + RIDGE * ops.eye(gram.shape[0])
    p = 1 / alpha
    known = ops.cast(norms > 0, "float32")
    logs = ops.log(ops.where(norms > 0, norms, 1.0))
    mean = ops.sum(known * logs) / ops.maximum(ops.sum(known), 1.0)
    q = ops.exp((p - 1) * known * (logs - mean))
    every = ops.ones((1, gram.shape[0]))

    def newton(_, y):
        wanted = q * y ** (1 - p)
        missing = wanted - y * ops.sum(cosines * y, axis=1)
        # By log y, and scaled to a diagonal of 1.
        scale = 1 / ops.sqrt(ops.diagonal(cosines) * y * y + p * wanted)
        hessian = cosines * (scale * y)[:, None] * (scale * y)
        hessian = hessian + ops.diag(scale * scale * p * wanted)
        step = solve_on_supports(hessian, (scale * missing)[:, None], every)[0, :, 0] * scale
        return y * ops.exp(step / ops.maximum(ops.max(ops.abs(step)) / 2, every[0, 0]))

    start = q ** (1 / (p + 1))
    size = ops.maximum(ops.sum(cosines * start * start[:, None]), RIDGE)
    start = start * (ops.sum(q * start ** (1 - p)) / size) ** (1 / (p + 1))
    y = ops.fori_loop(0, STEPS, newton, start)
    return known * y * ops.exp((p - 1) / (p + 1) * mean - logs)
