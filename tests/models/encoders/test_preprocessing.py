import keras
import numpy as np
import pytest
from keras import layers

from keras_atinet.models.encoders import preprocessing_for


def functional(name, *first_layers, channels=3):
    """A model of one convolution: its name and its first layers tell how images are scaled."""
    x = image = keras.Input((4, 4, channels))
    for layer in (*first_layers, layers.Conv2D(2, 3)):
        x = layer(x)
    return keras.Model(image, x, name=name)


def preprocessed(model, images, preprocessing=None):
    for layer in preprocessing_for(model, preprocessing):
        images = layer(images)
    return keras.ops.convert_to_numpy(images)


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("resnet", "ResNet50"),
        ("resnet_v2", "ResNet50V2"),
        ("vgg16", "VGG16"),
        ("mobilenet", "MobileNet"),
        ("mobilenet_v2", "MobileNetV2"),
        ("mobilenet_v3", "MobileNetV3Small"),
        ("densenet", "DenseNet121"),
        ("inception_v3", "InceptionV3"),
        ("xception", "Xception"),
        ("efficientnet", "EfficientNetB0"),
        ("efficientnet_v2", "EfficientNetV2B0"),
        ("convnext", "ConvNeXtTiny"),
    ],
)
@pytest.mark.one_backend
def test_models_of_applications_get_what_they_were_trained_on(module, function, application):
    model = application(function)
    images = np.random.default_rng(0).uniform(0, 255, (1, 2, 3, 3)).astype("float32")
    expected = getattr(keras.applications, module).preprocess_input(images.copy())
    np.testing.assert_allclose(preprocessed(model, images / 255), expected, atol=1e-4)


MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("efficientnet_lite2", lambda x: (255 * x - 127) / 128),
        ("mobilenet_v2", lambda x: (x - MEAN) / DEVIATION),
        ("efficientnetv2-b0", lambda x: (x - MEAN) / DEVIATION),
        ("inception_resnet_v2", lambda x: 2 * x - 1),
        ("resnet101", lambda x: 255 * x[..., ::-1] - [103.939, 116.779, 123.68]),
    ],
)
def test_by_name_where_the_graph_does_not_scale(name, expected):
    images = np.random.default_rng(0).random((1, 2, 3, 3), "float32")
    outputs = preprocessed(functional(name), images)
    np.testing.assert_allclose(outputs, expected(images), rtol=1e-5, atol=1e-4)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("layer", "scale"),
    [
        (layers.Rescaling(1 / 255), 255),
        (layers.Rescaling([1 / 57, 1 / 58, 1 / 59], [-2, -2, -2]), 255),
        (layers.Normalization(mean=[120, 110, 100], variance=[3600] * 3), 255),
        (layers.Rescaling(2, -1), 1),
        (layers.Normalization(mean=[0.5, 0.4, 0.4], variance=[0.1] * 3), 1),
    ],
)
def test_by_the_graph(layer, scale, recwarn):
    images = np.full((1, 2, 2, 3), 0.5, "float32")
    np.testing.assert_array_equal(preprocessed(functional("own", layer), images), scale * images)
    assert not [warning for warning in recwarn if warning.category is UserWarning]


def test_a_mode_or_a_layer_replaces_what_is_known():
    model, images = functional("vgg16"), np.full((1, 1, 1, 3), 0.5, "float32")
    assert preprocessing_for(model, "unit") == []
    np.testing.assert_array_equal(preprocessed(model, images, "tf"), 0 * images)

    adapted = layers.Normalization()
    adapted.adapt(np.arange(18, dtype="float32").reshape(1, 2, 3, 3))
    for layer in (layers.Conv2D(3, 1), adapted):
        expected = keras.ops.convert_to_numpy(layer(images))
        (copy,) = preprocessing_for(model, layer)
        assert copy is not layer
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(copy(images)), expected)


@pytest.mark.one_backend
def test_what_is_unknown_warns_and_what_is_wrong_is_refused():
    with pytest.warns(UserWarning, match=r"'own' is not known, so they go in unchanged.*'unit'"):
        assert preprocessing_for(functional("own")) == []
    with pytest.raises(ValueError, match="Received: preprocessing='imagenet'"):
        preprocessing_for(functional("own"), "imagenet")
    with pytest.raises(ValueError, match=r"Keras layer\. Received: preprocessing=3"):
        preprocessing_for(functional("own"), 3)
    with pytest.raises(ValueError, match=r"'caffe' of the encoder 'vgg16' is for 3 channels.* 4 "):
        preprocessing_for(functional("vgg16", channels=4))
    assert len(preprocessing_for(functional("xception", channels=4))) == 1
