"""Backbones as keras-hub has them, made here; `test_keras_hub.py` has the real ones."""

import sys

import keras
import numpy as np
import pytest
from keras import layers

from keras_atinet import Split, encoder_levels
from keras_atinet.models.encoders.backbones import import_backbones, is_backbone

array = keras.ops.convert_to_numpy


@keras.saving.register_keras_serializable(package="test")
class Backbone(keras.Model):
    """Strides 2, 4 and 8, of which `pyramid_outputs` has the last two, at odd keys."""

    def __init__(self, image_shape, name="backbone", dtype=None):
        image = keras.Input(image_shape)
        x = layers.Conv2D(2, 3, 2, padding="same", dtype=dtype, name="stem")(image)
        x = layers.Conv2D(3, 3, 2, padding="same", dtype=dtype, name="middle")(x)
        middle = layers.BatchNormalization(dtype=dtype, name="middle_norm")(x)
        x = layers.Conv2D(4, 3, 2, padding="same", dtype=dtype, name="end")(middle)
        super().__init__(image, x, name=name)
        self.pyramid_outputs = {"P1": middle, "P2": x}
        self.image_shape = image_shape

    def get_config(self):
        return {"image_shape": self.image_shape, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="test")
class Transformer(keras.Model):
    """Patches of 8 x 8 pixels, as tokens after one of a class."""

    def __init__(self, image_shape, name="transformer", dtype=None):
        image = keras.Input(image_shape)
        x = layers.Conv2D(8, 8, 8, dtype=dtype, name="patches")(image)
        tokens = layers.Reshape((-1, 8))(x)
        outputs = layers.Concatenate(axis=1)([0 * tokens[:, :1], tokens])
        super().__init__(image, outputs, name=name)
        self.pyramid_outputs = {"stage1": outputs}
        self.image_shape, self.patch_size, self.patches = image_shape, 8, x

    def get_config(self):
        return {"image_shape": self.image_shape, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def split(encoder, shape, **options):
    options |= {"encoder": encoder, "preprocessing": "unit", "decoder": "segformer"}
    return Split("depth", shape, (4, 4, 4, 4, 4), **options)


def test_pyramid_outputs_and_the_finer_levels_of_the_graph():
    levels = encoder_levels(Backbone((None, None, 3)))
    assert [level.stride for level in levels] == [2, 4, 8]
    assert [level.names for level in levels] == [
        ("stem", "stem"),
        ("middle", "middle_norm"),
        ("end", "end"),
    ]


@pytest.mark.one_backend
def test_pyramid_outputs_as_an_attribute_make_no_backbone():
    backbone = Backbone((32, 32, 3))
    model = keras.Model(backbone.inputs, backbone.outputs)
    model.pyramid_outputs = {"P1": model.get_layer("stem").output, "P2": model.outputs[0]}
    assert not is_backbone(model)
    assert [level.stride for level in encoder_levels(model)] == [2, 8]


def test_a_network_is_saved_by_the_config_of_its_backbone(tmp_path):
    backbone, x = Backbone((32, 32, 3)), np.random.default_rng(0).random((1, 24, 40, 3), "float32")
    features = {2: "stem", 8: ("end", "end")}
    model = split(backbone, (24, 40, 3), freeze_batch_norm=True, encoder_features=features)
    for weight, copy in zip(backbone.get_weights(), model.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(copy, weight)
    pairs = zip(backbone.weights, model.encoder.weights, strict=True)
    assert not any(weight.value is copy.value for weight, copy in pairs)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(array(loaded(x)["depth"]), array(model(x)["depth"]), atol=1e-6)
    levels = [(level.stride, level.names) for level in encoder_levels(loaded)]
    assert levels == [(2, ("stem", "stem")), (8, ("end", "end"))]
    frozen = [layer.name for layer in loaded.encoder.layers if not layer.trainable]
    assert frozen == ["middle_norm"]


def test_a_pyramid_of_tokens(tmp_path):
    shape, x = (32, 48, 3), np.random.default_rng(0).random((1, 32, 48, 3), "float32")
    transformer = Transformer(shape)
    levels = encoder_levels(transformer)
    sizes = {level.stride: tuple(level.last.shape[1:]) for level in levels}
    assert sizes == {2: (16, 24, 2), 4: (8, 12, 4), 8: (4, 6, 8), 16: (2, 3, 8)}
    grid, pooled = keras.Model(transformer.inputs, [levels[2].last, levels[3].last])(x)
    patches = array(keras.Model(transformer.inputs, transformer.patches)(x))
    np.testing.assert_array_equal(array(grid), patches)
    blocks = patches.reshape(1, 2, 2, 3, 2, 8)
    np.testing.assert_array_equal(array(pooled), blocks.max(axis=(2, 4)))

    # New layers learn though what was pretrained is frozen.
    model = split(transformer, shape, freeze_encoder=True)
    trainable = {layer.name for layer in model.encoder.layers if layer.trainable_variables}
    assert len(trainable) == 4 and all(name.startswith("token_pyramid_") for name in trainable)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(array(loaded(x)["depth"]), array(model(x)["depth"]), atol=1e-6)
    assert len(loaded.encoder.trainable_variables) == len(model.encoder.trainable_variables)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("backbone", "shape", "message"),
    [
        (Transformer, (4, 48, 3), r"of keras-hub cannot be built.*Received: input_shape=\(4, 48"),
        (Backbone, (32, 32, 4), r"'backbone' takes images of 3 channels.*\(32, 32, 4\)"),
    ],
)
def test_sizes_that_a_backbone_does_not_take(backbone, shape, message):
    with pytest.raises(ValueError, match=message):
        split(backbone((32, 48, 3)), shape)


@pytest.mark.one_backend
def test_a_pyramid_of_tokens_needs_a_size():
    with pytest.raises(ValueError, match=r"'transformer' needs an image size that is known.*None"):
        encoder_levels(Transformer((None, None, 3)))


@pytest.mark.backend_free
def test_keras_hub_is_imported_where_a_file_needs_it(monkeypatch):
    config = {"model": {"layers": [{"module": "keras_hub.src.models", "class_name": "Block"}]}}
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    import_backbones({"model": {"layers": [{"module": "keras.layers", "class_name": "Dense"}]}})
    with pytest.raises(ImportError, match=r"layers of keras-hub.*`pip install keras-atinet\[hub\]"):
        import_backbones(config)
