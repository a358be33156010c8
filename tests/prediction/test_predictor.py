"""Pictures of any kind and size in, maps at their own size out."""

import keras
import numpy as np
import pytest

from keras_atinet import (
    DepthEstimation,
    Predictor,
    SemanticSegmentation,
    Split,
    SurfaceNormals,
)
from keras_atinet.data.transforms.resize import resample
from keras_atinet.prediction import maps
from keras_atinet.prediction.networks import network_size
from keras_atinet.prediction.reading import read_picture

RNG = np.random.default_rng(0)
FILTERS = (2, 2, 2, 2, 2)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "picture, trained, expected",
    [
        ((3000, 4000), (144, 192), (144, 192)),
        ((4000, 3000), (144, 192), (192, 144)),
        ((1, 1), (144, 192), (160, 160)),
        ((10, 4000), (144, 192), (32, 864)),
        ((4000, 10), (144, 192), (864, 32)),
        ((1080, 1920), (288, 384), (256, 448)),
        ((300, 400), (100, 150), (112, 144)),
        ((200, 299), (100, 150), (100, 150)),
        ((2, 9), (32, 32), (32, 32)),
        ((5, 5), (16, 16), (32, 32)),
    ],
)
def test_networks_run_at_the_trained_number_of_pixels(picture, trained, expected):
    assert network_size(*picture, trained) == expected


@pytest.mark.backend_free
@pytest.mark.parametrize("task", [SemanticSegmentation(5), DepthEstimation(), SurfaceNormals()])
def test_strips_of_a_map_are_those_of_the_whole(task, monkeypatch):
    prediction = RNG.normal(size=(6, 8, task.channels)).astype("float32")
    for size in ((23, 40), (40, 5), (1, 1), (6, 8)):
        expected = task.decode(resample(prediction, size))
        for numbers in (1, 3 * size[1] * task.channels, 2**21):
            monkeypatch.setattr(maps, "_STRIP", numbers)
            found = maps.full_size_map(prediction, task, size)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


@pytest.mark.backend_free
def test_paths_pictures_and_arrays_are_the_same_image(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    pixels = RNG.integers(0, 256, (6, 8, 3)).astype("uint8")
    sideways = pillow.Exif()
    sideways[0x0112] = 6
    path = tmp_path / "room.png"
    pillow.fromarray(np.rot90(pixels)).save(path, exif=sideways)
    with pillow.open(path) as opened:
        for image in (path, str(path), opened, pillow.fromarray(pixels), pixels):
            np.testing.assert_array_equal(read_picture(image), pixels)
        assert opened.size == (6, 8)  # left as it was
    floats = read_picture(pixels / 255)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, pixels / 255, atol=1e-6)
    gray = pillow.fromarray(np.array([[0, 65535]], "uint16"))
    np.testing.assert_array_equal(read_picture(gray)[0, :, 0], [0, 1])
    assert read_picture(pillow.new("CMYK", (2, 3))).shape == (3, 2, 3)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "image, message",
    [
        ("none.jpg", "no such image"),
        (np.zeros((4, 4)), r"shape \(4, 4\)"),
        (np.zeros((2, 4, 4, 3)), r"call `predict\(images\)`"),
        (np.zeros((0, 4, 3)), r"shape \(0, 4, 3\)"),
        (np.full((2, 2, 3), 128.0), "Divide them by"),
        (np.full((2, 2, 3), np.nan), r"in \[0, 1\]"),
        (np.zeros((2, 2, 3), "int64"), "int64"),
        (None, "a NoneType"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_picture(image)


def test_maps_are_those_of_the_network_at_the_size_of_each_picture():
    model = Split((SemanticSegmentation(4), "depth", "normal"), (64, 64, 3), FILTERS)
    predictor = Predictor(model, batch_size=2)
    assert predictor.tasks is model.tasks
    pictures = [
        RNG.random((*size, 3), "float32") for size in ((40, 40), (5, 5), (90, 41), (64, 64))
    ]
    found = list(predictor.predict(pictures))
    for picture, predicted in zip(pictures, found, strict=True):
        size = picture.shape[:2]
        assert {name: value.shape for name, value in predicted.items()} == {
            "segmentation": size,
            "depth": (*size, 1),
            "normal": (*size, 3),
        }
        assert predicted["segmentation"].dtype == np.int32
        assert predicted["depth"].dtype == np.float32 and predicted["depth"].min() >= 0
        np.testing.assert_allclose(np.linalg.norm(predicted["normal"], axis=-1), 1, atol=1e-5)
    expected = model.predict_on_batch(resample(pictures[0], (64, 64))[None])
    for task in model.tasks[1:]:
        whole = task.decode(resample(expected[task.name][0], (40, 40)))
        assert abs(found[0][task.name] - whole).mean() < 1e-4


@pytest.mark.one_backend
def test_a_network_bound_to_a_size_runs_at_that():
    image = keras.Input((32, 48, 3))
    middle = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="fine")(image)
    flat = keras.layers.Reshape((384 * 4,))(middle)
    fixed = keras.layers.Reshape((16, 24, 4))(flat)
    encoder = keras.Model(
        image, keras.layers.Conv2D(4, 3, strides=2, padding="same", name="coarse")(fixed)
    )
    options = {"encoder_features": {2: "fine", 4: "coarse"}, "preprocessing": "unit"}
    model = Split("depth", (32, 48, 3), FILTERS, encoder=encoder, **options)
    predictor = Predictor(model)
    assert predictor.prepare(np.zeros((90, 20, 3), "uint8")).image.shape == (32, 48, 3)
    assert predictor(np.zeros((90, 20, 3), "uint8"))["depth"].shape == (90, 20, 1)


@pytest.mark.one_backend
def test_a_network_of_other_channels_is_refused():
    with pytest.raises(ValueError, match=r"colour images.*one of 4"):
        Predictor(Split("depth", (32, 32, 4), FILTERS))


@pytest.mark.one_backend
def test_nan_does_not_become_a_class():
    model = Split(SemanticSegmentation(3), (32, 32, 3), FILTERS)
    model.layers[-1].weights[-1].assign(np.full(3, np.nan))
    with pytest.raises(ValueError, match=r"finite numbers.*'segmentation'"):
        Predictor(model)(np.zeros((8, 8, 3), "uint8"))
    with pytest.raises(ValueError, match="`batch_size` must be 1 or more"):
        Predictor(model, batch_size=0)
