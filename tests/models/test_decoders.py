"""Decoders of an encoder's levels: sizes, widths, gradients, what is refused, inference."""

import itertools
import types

import keras
import numpy as np
import pytest

from keras_atinet.models.decoders import decode
from keras_atinet.models.decoders.unet import unet

# As of an image of 21 x 30: no level is twice as large as the next.
SIZES = {2: (11, 15, 3), 4: (5, 7, 4), 16: (2, 2, 5)}
IMAGE = (21, 30, 3)
FILTERS = (6, 7, 8, 9, 10)
one_backend = pytest.mark.one_backend


def levels(sizes=SIZES):
    return [
        types.SimpleNamespace(stride=stride, last=keras.Input(shape, name=f"stride_{stride}"))
        for stride, shape in sizes.items()
    ]


def arrays(sizes=SIZES, batch=4):
    random = np.random.RandomState(0)
    return [random.standard_normal((batch, *shape)).astype("float32") for shape in sizes.values()]


@one_backend
def test_unet():
    given = levels()
    upsampled, outputs = unet(given, FILTERS)
    # The widths of SegNet's decoder at strides 2 and 4.
    assert [x.shape[1:] for x in outputs] == [(11, 15, 6), (5, 7, 7)]
    assert [[x.shape[1:] for x in pair] for pair in upsampled] == [
        [(11, 15, 7), (11, 15, 3)],
        [(5, 7, 5), (5, 7, 4)],
    ]
    _, outputs = unet(given, FILTERS, (2, 3), bottleneck=keras.Input((3, 3, 1)))
    assert [x.shape[1:] for x in outputs] == [(11, 15, 2), (5, 7, 3)]


@pytest.mark.parametrize(
    "decoder, widths, shape",
    [
        ("unet", (3, 4), (11, 15, 3)),
        pytest.param("unet", None, (11, 15, 6), marks=one_backend),
        ("segformer", 4, (11, 15, 4)),
        pytest.param("aspp", [4], (2, 2, 4), marks=one_backend),
    ],
)
def test_every_weight_has_a_gradient(gradient, decoder, widths, shape):
    keras.utils.set_random_seed(0)
    given = levels()
    features = decode(given, decoder, FILTERS, widths)
    assert features.shape == (None, *shape)
    model = keras.Model([level.last for level in given], features)
    inputs = [keras.ops.convert_to_tensor(x) for x in arrays()]
    variables = model.trainable_variables
    others = [variable.value for variable in model.non_trainable_variables]
    ends = np.cumsum([0, *(np.prod(variable.shape) for variable in variables)]).tolist()
    places = [slice(*place) for place in itertools.pairwise(ends)]

    def loss(values):
        weights = [
            keras.ops.reshape(values[place], variable.shape)
            for place, variable in zip(places, variables, strict=True)
        ]
        outputs, _ = model.stateless_call(weights, others, inputs, training=True)
        return keras.ops.sum(outputs**2)

    values = np.concatenate([keras.ops.convert_to_numpy(x).ravel() for x in variables])
    gradients = np.abs(gradient(loss, values))
    for variable, place in zip(variables, places, strict=True):
        # Biases before BatchNorm change nothing.
        assert gradients[place].max() > 1e-6 or variable.name == "bias", variable.path


@one_backend
def test_one_level():
    given = levels({16: (2, 3, 5)})
    assert decode(given, "unet", FILTERS) is given[0].last
    assert decode(given, "segformer", FILTERS).shape == (None, 2, 3, 8)


@one_backend
@pytest.mark.parametrize(
    "decoder, widths, message",
    [
        ("u-net", None, r"one of \['unet', 'segformer', 'aspp'\]. Received: decoder='u-net'"),
        ("unet", (4, 4, 4), r"2 of them, one for each of the strides \[2, 4\].*Received"),
        ("unet", (4, 0), "positive integers.*Received"),
        ("segformer", (4, 4), "1 of them. Received"),
        ("aspp", (4.5,), "1 of them. Received"),
    ],
)
def test_bad_arguments(decoder, widths, message):
    with pytest.raises(ValueError, match=message):
        decode(levels(), decoder, FILTERS, widths)
