from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop


def remat(function, token, *tensors):
    """`keras.remat` of a function from tensors to a list of tensors; PyTorch keeps an order.

    The second computation goes to its end. PyTorch would else leave it by an exception as soon as
    it has what it needs, and what Keras adds to the exception holds on to all the tensors.

    Args:
        function: from tensors to a list of tensors.
        token: scalar, returned as it is.
        *tensors: float tensors.

    Returns:
        List: the token, and what the function returns.
    """
    with set_checkpoint_early_stop(False):
        return [token, *checkpoint(function, *tensors, use_reentrant=False)]
