"""An encoder as a part of a network: any functional model, at the network's image size."""

import os

import keras

from keras_atinet.internals import sublayers, values_to_load
from keras_atinet.layers.copying import copy_weights
from keras_atinet.models.encoders.backbones import (
    BackboneFeatures,
    backbone_at,
    import_backbones,
    is_backbone,
)
from keras_atinet.models.encoders.copying import copy_at
from keras_atinet.models.encoders.levels import Level, encoder_levels, functional_encoder
from keras_atinet.models.encoders.named import build_encoder
from keras_atinet.models.encoders.preprocessing import preprocessed_shape, preprocessing_for
from keras_atinet.models.encoders.token_pyramid import is_of_pyramid
from keras_atinet.models.multi_task_model import MultiTaskModel

SEGNET = "the SegNet of the paper"
# Layers that move or mix images in training; the targets would stay where they are.
_MOVING = tuple(
    getattr(keras.layers, name)
    for name in (
        *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomCrop", "RandomElasticTransform"),
        *("RandomFlip", "RandomPerspective", "RandomRotation", "RandomShear"),
        *("RandomTranslation", "RandomZoom"),
    )
    if hasattr(keras.layers, name)
)


@keras.saving.register_keras_serializable(package="keras_atinet")
class Encoder:
    """A functional model with what a network needs to know of it. `as_encoder` makes it.

    Its config holds the whole graph, so that a saved network is loaded without what the encoder
    was made from: no download, no package of weights.

    Args:
        model: functional `keras.Model` named `"encoder"`, from an image to the list
            `[p_1, q_1, p_2, q_2, ...]` of its levels' features, finest first.
        strides: sequence of ints, the stride of each level.
        preprocessing: list of Keras layers from RGB in `[0, 1]` to what the model was trained on.
        source: str, which model this is, and its weights.
        frozen_epochs: int, for how many epochs `fit` takes no step with its weights.
    """

    def __init__(self, model, strides, preprocessing=(), source="", frozen_epochs=0):
        self.model = model
        self.strides = tuple(strides)
        self.preprocessing = list(preprocessing)
        self.source = source
        self.frozen_epochs = frozen_epochs

    def __call__(self, image):
        """The levels of an image, a KerasTensor `(batch, height, width, channels)` in `[0, 1]`."""
        return self._levels(self.model(self.preprocess(image)))

    def preprocess(self, image):
        """An image, a KerasTensor in `[0, 1]`, with the values that the model was trained on."""
        for layer in self.preprocessing:
            image = layer(image)
        return image

    def copies(self, count):
        """A list of `count` models, equal and with weights of their own; `model` is the first."""
        # What is copied next need not be random first.
        with values_to_load():
            return [self.model, *(self._copy() for _ in range(count - 1))]

    def _copy(self):
        if not isinstance(self.model, BackboneFeatures):
            return copy_at(self.model, self.model.inputs[0].shape[1:], source=self.source)
        copy = BackboneFeatures.from_config(self.model.get_config())
        copy_weights(self.model, copy)
        return copy

    @property
    def levels(self):
        """List of `Level` in the graph of `model`, finest first."""
        return self._levels(self.model.outputs)

    def _levels(self, features):
        pairs = zip(features[::2], features[1::2], strict=True)
        return [Level(stride, *pair) for stride, pair in zip(self.strides, pairs, strict=True)]

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "model": serialize(self.model),
            "strides": list(self.strides),
            "preprocessing": [serialize(layer) for layer in self.preprocessing],
            "source": self.source,
            "frozen_epochs": self.frozen_epochs,
        }

    @classmethod
    def from_config(cls, config):
        import_backbones(config)
        return cls(**keras.saving.deserialize_keras_object(config))


def as_encoder(
    encoder,
    input_shape,
    dtype=None,
    encoder_weights=None,
    encoder_features=None,
    preprocessing=None,
    freeze_encoder=False,
    freeze_batch_norm=False,
    **unknown,
):
    """The encoder of a network; see `keras_atinet.ATINet` for the arguments.

    A model is copied, layers and weights, so that it stays as it is; a name is built.

    Returns:
        `Encoder`, or None for SegNet.

    Raises:
        TypeError: if an argument is unknown.
        ValueError: if it is none, does not take images of `input_shape`, or an argument does not
            fit it.
    """
    options = {
        "encoder_weights": encoder_weights,
        "encoder_features": encoder_features,
        "preprocessing": preprocessing,
        "freeze_encoder": freeze_encoder,
        "freeze_batch_norm": freeze_batch_norm,
    }
    if unknown:
        # Networks pass on what they do not know.
        raise TypeError(
            f"A network does not take the arguments {sorted(unknown)}. "
            f"Its encoder takes {sorted(options)}."
        )
    given = {name: value for name, value in options.items() if value not in (None, False)}
    if given and (encoder is None or isinstance(encoder, Encoder)):
        name, value = next(iter(given.items()))
        raise ValueError(
            f"`{name}` is for a network with an `encoder`, not for {SEGNET}. "
            f"Received: {name}={value!r}, encoder=None. Pass e.g. encoder='efficientnet_lite0'."
        )
    if encoder is None or isinstance(encoder, Encoder):
        return encoder
    _check_freezing(freeze_encoder)
    image_shape = preprocessed_shape(preprocessing, input_shape)
    if isinstance(encoder, str):
        model = build_encoder(encoder, image_shape, dtype, encoder_weights)
        # Of a file its name alone: who gets a network need not know its author's folders.
        file = encoder_weights and os.path.basename(encoder_weights)
        source = ", ".join(filter(None, (encoder, file)))
    elif encoder_weights is not None:
        raise ValueError(
            "`encoder_weights` is for an encoder given by its name; a model has its weights. "
            f"Received: encoder_weights={encoder_weights!r} with the model '{encoder.name}'. "
            "Load them into the model: `encoder.load_weights(path)`."
        )
    else:
        _check_no_network(encoder)
        functional_encoder(encoder)
        source, model = encoder.name, encoder
        if is_backbone(encoder):
            model = backbone_at(encoder, image_shape, dtype)
    levels = encoder_levels(model, encoder_features)
    layers = preprocessing_for(model, preprocessing)
    if is_backbone(model):
        part = BackboneFeatures(model, encoder_features, levels)
    else:
        features = [tensor for level in levels for tensor in (level.first, level.last)]
        part = keras.Model(model.inputs[0], features, name="encoder")
    if model is encoder:
        part = copy_at(part, image_shape, dtype, source)
    _refuse_moving(source, [*layers, part])
    if freeze_encoder is True:
        _freeze(part)
    if freeze_batch_norm:
        for layer in _all_layers(part):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
    return Encoder(
        part,
        [level.stride for level in levels],
        layers,
        source,
        0 if isinstance(freeze_encoder, bool) else freeze_encoder,
    )


def _refuse_moving(source, layers):
    """Raises a ValueError if one of some layers, or a layer in them, moves or mixes images."""
    for layer in [*layers, *(inner for outer in layers for inner in _all_layers(outer))]:
        if isinstance(layer, _MOVING):
            raise ValueError(
                f"The encoder '{source}' would move or mix images in training, and not their "
                f"targets. Received: the layer '{layer.name}' ({type(layer).__name__}). Leave it "
                "out, and augment samples: `keras_atinet.data.pipeline(augment=...)`."
            )


def _freeze(part):
    """All of an encoder but the layers of a token pyramid: these have no pretrained weights."""
    if any(map(is_of_pyramid, part.layers)):
        for layer in part.layers:
            layer.trainable = is_of_pyramid(layer)
    else:
        part.trainable = False


def _all_layers(layer):
    for inner in sublayers(layer):
        yield inner
        yield from _all_layers(inner)


def _check_no_network(encoder):
    if isinstance(encoder, MultiTaskModel):
        raise ValueError(
            "`encoder` must be a functional `keras.Model` of images, without a decoder. "
            f"Received: '{encoder.name}', a {type(encoder).__name__}. To begin with its weights, "
            "use `load_matching_weights`; on the command line, `--weights`."
        )


def _check_freezing(freeze_encoder):
    if isinstance(freeze_encoder, bool):
        return
    if not isinstance(freeze_encoder, int) or freeze_encoder < 0:
        raise ValueError(
            "`freeze_encoder` must be True, False or a number of epochs. "
            f"Received: freeze_encoder={freeze_encoder!r}."
        )
