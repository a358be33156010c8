import keras
import pytest

from keras_atinet import layers
from keras_atinet.layers.batch_normalization import BatchNormalization


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv2D(4, 3, strides=2), r"`Conv2D`.*strides=\(1, 1\).*strides=\(2, 2\)"),
        (lambda: layers.Conv2D(4, 3, use_bias=False), "use_bias=True only"),
        (lambda: layers.Conv2D(4, 3, padding="valid"), r"Use `keras\.layers\.Conv2D`"),
        (lambda: layers.Conv2D(4, (3, 2)), r"must be odd.*\(3, 2\)"),
        (lambda: layers.MaxPooling2D(3), r"pool_size=\(2, 2\) only.*pool_size=\(3, 3\)"),
        (lambda: layers.MaxPooling2D(strides=1), r"strides=\(2, 2\) only"),
        (lambda: BatchNormalization(axis=1), "axis=-1 only"),
        (lambda: BatchNormalization(center=False), "center=True only"),
    ],
)
def test_what_a_layer_would_not_compute_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "layer", [layers.Conv2D(4, 3), layers.MaxPooling2D(), BatchNormalization(momentum=0.9)]
)
def test_a_copy_from_the_config(layer):
    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(layer) and copy.get_config() == layer.get_config()
