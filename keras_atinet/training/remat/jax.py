import jax


def remat(function, token, *tensors):
    """`keras.remat` of a function from tensors to a list of tensors, in an order.

    That of Keras, `jax.checkpoint`, sets XLA free to start on all second computations at once, and
    to merge on a CPU much of the second with the first: so much is kept after all.

    Args:
        function: from tensors to a list of tensors.
        token: scalar, from the call before this one.
        *tensors: float tensors.

    Returns:
        List: the token for the next call, and what the function returns.
    """

    @jax.custom_vjp
    def call(token, *tensors):
        return [token, *function(*tensors)]

    def forward(token, *tensors):
        return call(token, *tensors), tensors

    def backward(tensors, gradients):
        token, *gradients = gradients
        # Once the backward pass has come here, and the next segment's part of it is done.
        start = token + _zero_after(gradients)
        _, vjp = jax.vjp(function, *(tensor + start.astype(tensor.dtype) for tensor in tensors))
        found = vjp(gradients)
        return (token + _zero_after(found), *found)

    call.defvjp(forward, backward)
    return call(token, *tensors)


def _zero_after(tensors):
    """A 0 that XLA cannot know before the tensors are there."""
    largest = [jax.numpy.max(tensor).astype("float32") for tensor in tensors]
    return jax.numpy.minimum(abs(sum(largest)), 0)
