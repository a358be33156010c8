"""Backbones of keras-hub, which know their features and how to be built for another image size."""

import inspect
import types

import keras

from keras_atinet.internals import sublayers
from keras_atinet.layers.copying import copy_weights
from keras_atinet.models.encoders.copying import check_channels
from keras_atinet.models.encoders.levels import encoder_levels

# Names of the argument of their constructors.
IMAGE_SHAPES = "image_shape", "input_shape"


def is_backbone(model):
    """Whether a model is a `keras_hub.models.FeaturePyramidBackbone`, without importing it.

    A model that has got `pyramid_outputs` as an attribute is none: its config does not know of it.
    """
    if not hasattr(model, "pyramid_outputs"):
        return False
    return not inspect.signature(type(model)).parameters.keys().isdisjoint(IMAGE_SHAPES)


def backbone_at(model, input_shape, dtype=None):
    """A backbone of keras-hub for another image size, with a copy of the weights.

    Args:
        model: a backbone, see `is_backbone`.
        input_shape: `(height, width, channels)`.
        dtype: dtype policy of the layers; defaults to that of the model.

    Returns:
        A new backbone of the same class.

    Raises:
        ValueError: if the backbone cannot be built for this size.
    """
    check_channels(model, input_shape, model.name)
    config = model.get_config()
    config |= {key: tuple(input_shape) for key in IMAGE_SHAPES if key in config}
    if dtype is not None:
        config["dtype"] = keras.dtype_policies.get(dtype)
    try:
        copy = type(model).from_config(config)
    except Exception as error:
        # Each backbone has errors of its own; those from a graph are long.
        reason = [line for line in str(error).splitlines() if line.strip()][-1:]
        raise ValueError(
            f"The backbone '{model.name}' of keras-hub cannot be built for images of this size. "
            f"Received: input_shape={tuple(input_shape)}. Some (MiT, DINOv2) take squares only. "
            f"It says: {' '.join(reason)}"
        ) from error
    copy_weights(model, copy)
    return copy


@keras.saving.register_keras_serializable(package="keras_atinet")
class BackboneFeatures(keras.Model):
    """The features of a backbone, a functional model whose config is that of the backbone.

    Configs of keras-hub's backbones make them again; those of its layers not always.

    Args:
        backbone: `keras_hub.models.Backbone`, of which this becomes a part.
        encoder_features: None or dict, see `encoder_levels`.
        levels: list of `Level`, if they are known already.
        frozen: indices of the layers that do not train, in the order of all layers within.
        name: str.
    """

    def __init__(self, backbone, encoder_features=None, levels=None, frozen=(), name="encoder"):
        levels = levels or encoder_levels(backbone, encoder_features)
        features = [tensor for level in levels for tensor in (level.first, level.last)]
        super().__init__(backbone.inputs[0], features, name=name)
        # No dict, which Keras would track.
        self.config = types.MappingProxyType(
            {
                "backbone": keras.saving.serialize_keras_object(backbone),
                "encoder_features": encoder_features,
                "name": name,
            }
        )
        for index, layer in enumerate(_layers_within(self)):
            if index in frozen:
                layer.trainable = False
            # DINOv2's, for the image size: a file holds those before interpolation, and what
            # these learn only where their sum decreases.
            positions = getattr(layer, "interpolated_position_embeddings", None)
            if positions is not None:
                positions.trainable = False

    def get_config(self):
        layers = enumerate(_layers_within(self))
        return {
            **self.config,
            "frozen": [index for index, layer in layers if not layer.trainable],
        }

    @classmethod
    def from_config(cls, config):
        config = keras.saving.deserialize_keras_object(config)
        features = config["encoder_features"]
        if features is not None:
            # Keys of JSON are texts.
            features = {int(stride): names for stride, names in features.items()}
        return cls(**{**config, "encoder_features": features})


def import_backbones(config):
    """Imports keras-hub if a serialized model has layers of it.

    Raises:
        ImportError: if it is needed and not installed.
    """
    if not _names_keras_hub(config):
        return
    try:
        import keras_hub  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "The encoder of this network is made of layers of keras-hub, which cannot be imported "
            f"({error}). Install it: `pip install keras-atinet[hub]`."
        ) from error


def _layers_within(layer):
    yield layer
    for inner in sublayers(layer):
        yield from _layers_within(inner)


def _names_keras_hub(config):
    if isinstance(config, dict):
        if str(config.get("module")).split(".")[0] == "keras_hub":
            return True
        config = config.values()
    elif not isinstance(config, (list, tuple)):
        return False
    return any(map(_names_keras_hub, config))
