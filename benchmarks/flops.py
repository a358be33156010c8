"""The arithmetic of a network, counted from the shapes of its layers."""

import math

import keras


def count_flops(model):
    """Floating-point operations per image of a functional model: convolutions and dense layers.

    Each kernel of each call of a layer costs `2 * positions * (elements of the kernel)`, a
    multiplication and an addition, with the positions of its output, or of its input where that is
    smaller, as before a resizing or in transposed convolutions. So what a layer does within at
    another size is not exact, and products of matrices without a kernel are not counted: `costs.py`
    counts both. The gradients with respect to input and kernel cost as much as the layer each; the
    image needs none.

    Args:
        model: functional `keras.Model`; models within it count as well.

    Returns:
        `forward` and `training`, ints: `training = 3 * forward - (convolutions of the image)`.
    """
    image = model.inputs[0].shape
    forward = first = 0

    # A clone's calls, because nothing else public lists the calls of a layer that several share.
    def call(layer, *arguments, **options):
        nonlocal forward, first
        outputs = layer(*arguments, **options)
        tensors = keras.tree.flatten(arguments)
        flops = _flops(layer, tensors, keras.tree.flatten(outputs))
        forward += flops
        if any(x is inputs for x in tensors):
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


def _flops(layer, inputs, outputs):
    if isinstance(layer, keras.Model):
        return count_flops(keras.Model(layer.inputs[0], layer.outputs))[0]  # Sequential as well
    tensor = min(inputs[0], outputs[0], key=lambda x: math.prod(x.shape[1:-1]))
    kernels = [weight for weight in getattr(layer, "weights", ()) if len(weight.shape) in (2, 4)]
    return sum(2 * math.prod(tensor.shape[1:-1]) * math.prod(kernel.shape) for kernel in kernels)
