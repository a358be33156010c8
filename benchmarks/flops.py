"""The arithmetic of a network, counted from the shapes of its layers."""

import math

import keras


def count_flops(model):
    """Floating-point operations per image of a functional model: those of its convolutions.

    Each kernel of each call of a layer costs `2 * height * width * (elements of the kernel)`, a
    multiplication and an addition at each pixel of the output; composite layers keep the size of
    the image, so all their kernels count at the size of their output. The gradients by input and by
    kernel cost as much as the convolution each; the image needs none.

    Args:
        model: functional `keras.Model` of stride-1 convolutions (alone or in composite layers).

    Returns:
        `forward` and `training`, ints: `training = 3 * forward - (convolutions of the image)`.
    """
    image = model.inputs[0].shape
    forward = first = 0

    # A clone's calls, because nothing else public lists the calls of a layer that several share.
    def call(layer, *arguments, **options):
        nonlocal forward, first
        outputs = layer(*arguments, **options)
        _, *size, _ = keras.tree.flatten(outputs)[0].shape
        kernels = [weight for weight in layer.weights if len(weight.shape) == 4]
        flops = sum(2 * math.prod(size) * math.prod(kernel.shape) for kernel in kernels)
        forward += flops
        if any(x is inputs for x in keras.tree.flatten(arguments)):
            first += flops
        return outputs

    inputs = keras.Input(batch_shape=image)
    keras.models.clone_model(
        model,
        input_tensors=inputs,
        clone_function=lambda layer: type(layer).from_config(layer.get_config()),
        call_function=call,
    )
    return forward, 3 * forward - first
