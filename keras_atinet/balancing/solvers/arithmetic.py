"""Arithmetic of losses that may be 0, of tasks that may be absent, of small matrices."""

from keras import ops

# Losses up to here count as 0: their logarithm is that of EPSILON, its slope 0.
EPSILON = 1e-8


def positive(losses):
    """`max(losses, EPSILON)`."""
    return ops.maximum(losses, EPSILON)


def safe_log(losses):
    """`log(max(losses, EPSILON))`."""
    return ops.log(positive(losses))


def safe_log_slope(losses):
    """The derivative of `safe_log`."""
    return ops.where(losses > EPSILON, 1 / positive(losses), 0.0)


def present_softmax(scores, present):
    """`softmax(scores)` over the tasks that are present, 0 for the others; shapes `(K,)`."""
    return present * ops.softmax(present_scores(scores, present))


def present_scores(scores, present):
    """The scores of the tasks that are present; for the others one that `exp` makes 0."""
    return ops.where(present > 0, scores, -1e30)


def multiply(left, right):
    """`left @ right` of small matrices `(..., K, K)`; `ops.matmul` rounds more on some GPUs."""
    return ops.sum(left[..., :, :, None] * right[..., None, :, :], axis=-2)
