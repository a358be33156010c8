"""A network at sizes that fit pictures."""

import math

import keras

from keras_atinet.internals import tensorflow_only_if_imported, values_to_load
from keras_atinet.models.encoders.graph import takes_size

_SHORTEST = 32  # pixels
_STEP = 32  # what networks without an encoder need
_KEPT = 8  # networks of other sizes; each has weights of its own


def network_size(height, width, trained):
    """The size to run a network at, for a picture.

    About as many pixels as it was trained for, in the picture's proportions, which are kept up to
    `trained pixels / 32 ** 2` to 1. Sides are multiples of 32; of 16, if the network was trained
    at such a size; or those that it was trained at.

    Args:
        height, width: int, the picture's.
        trained: `(height, width)` that the network was trained at.

    Returns:
        `(height, width)`, at least 32 pixels each.

    Example:
        >>> network_size(3000, 4000, (144, 192)), network_size(4000, 3000, (144, 192))
        ((144, 192), (192, 144))
    """
    # The shipped network, trained at 144 x 192, mean IoU on 60 images of NYUv2's test part: 38.9 %
    # at that size, 34.1 % at twice the pixels, 25.9 % at four times. On parts of them in portrait
    # format 35.6 % in their proportions, 32.9 % squeezed into the trained ones.
    pixels = math.prod(trained)
    longest = max(pixels / _SHORTEST, _SHORTEST)
    tall = min(max(math.sqrt(pixels * height / width), _SHORTEST), longest)
    ideal = tall, min(max(pixels / tall, _SHORTEST), longest)
    step = _STEP if all(side % _STEP == 0 for side in trained) else _STEP // 2
    if all(abs(side - known) <= step / 2 for side, known in zip(ideal, trained, strict=True)):
        return tuple(trained)
    return tuple(max(_SHORTEST, round(side / step) * step) for side in ideal)


class Networks:
    """What `for_inference` makes of a model, for pictures of any size.

    On JAX, where a graph has a size, one for each size, made when it is first asked for; the last
    eight are kept.

    Args:
        model: `MultiTaskModel`.
    """

    def __init__(self, model):
        self._model = model
        self._trained = tuple(model.input_shape[1:3])
        # Layers such as `Reshape` may bind it to the size that it was built for.
        self._is_free = takes_size(model, *(side + _STEP for side in self._trained))
        self._made = {}

    def size_for(self, height, width):
        """The size to run at for a picture; that of the model if it is bound to one."""
        return network_size(height, width, self._trained) if self._is_free else self._trained

    def at(self, size):
        """The `keras.Model` for images of a size that `size_for` gave."""
        if self._is_free and keras.backend.backend() != "jax":
            size = None, None
        if size not in self._made:
            if len(self._made) == _KEPT:
                del self._made[next(iter(self._made))]
            shape = (*size, self._model.input_shape[-1])
            with values_to_load(), tensorflow_only_if_imported():
                self._made[size] = self._model.for_inference(shape)
        return self._made[size]
