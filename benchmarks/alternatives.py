"""Keras's or a backend's own way for what this package does by itself, to see what ours brings.

    python benchmarks/memory.py --backend jax --remat attention --alternative keras_remat
    python benchmarks/train_step.py --backend jax --alternative xla_kernel_gradient

Each changes the package in the process of its contender, around the making of the network.
"""

import contextlib

import keras
import workload


@contextlib.contextmanager
def keras_remat():
    """`keras.RematScope` over the attention's layers, for `remat="attention"`."""
    names = ("_mask", "_pool", "_upsample", "_attended")

    class Everywhere(list):
        def __contains__(self, name):
            return name.startswith("attention_") or name.endswith(names)

    with keras.RematScope(mode="list_of_layers", layer_names=Everywhere()):
        yield


@contextlib.contextmanager
def jax_checkpoint():
    """`jax.checkpoint` of each segment, with `optimization_barrier` for its order."""
    import jax

    from keras_atinet.training.remat import model

    def remat(function, token, *tensors):
        def segment(token, *tensors):
            token, tensors = jax.lax.optimization_barrier((token, tensors))
            return [token, *function(*tensors)]

        return jax.checkpoint(segment)(token, *tensors)

    model.remat = remat
    yield


@contextlib.contextmanager
def xla_kernel_gradient():
    """On JAX, XLA's own gradient of a convolution with respect to its kernel."""
    from keras_atinet.ops import jax as convolution

    convolution._conv = convolution._plain
    yield


@contextlib.contextmanager
def row_major_kernels():
    """On PyTorch, kernels in memory as Keras lays them out, (height, width, in, out)."""
    from keras_atinet.training.step import torch as step

    step.lay_out_kernel = lambda variable: None
    yield


@contextlib.contextmanager
def keras_batch_normalization():
    """Batch normalization in `keras.ops`."""
    from keras_atinet.layers import batch_normalization as layer
    from keras_atinet.ops import normalization

    layer.batch_normalization = normalization._in_keras
    yield


@contextlib.contextmanager
def torch_functional_batch_norm():
    """On PyTorch, the documented `torch.nn.functional.batch_norm`."""
    import torch

    from keras_atinet.ops import normalization

    def batch_normalization(inputs, gamma, beta, epsilon):
        count = inputs.numel() // gamma.numel()
        # Moving statistics with a momentum of 1 are those of the batch, Bessel-corrected.
        mean, variance = torch.zeros_like(beta), torch.zeros_like(beta)
        outputs = torch.nn.functional.batch_norm(
            inputs, mean, variance, gamma, beta, True, 1.0, epsilon
        )
        return outputs, mean, variance * ((count - 1) / count)

    normalization.torch_batch_normalization = batch_normalization
    yield


def get(name):
    """The context manager of a name in `workload.ALTERNATIVES`, or one that does nothing."""
    return globals()[name] if name in workload.ALTERNATIVES else contextlib.nullcontext
