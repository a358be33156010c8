import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet import Split, from_preset
from keras_atinet.models.presets import locating, weights

FILES = {"config.json", "metadata.json", "model.weights.h5", "README.md"}
MAX_BYTES = 16_000_000  # so much may come with the package
IMAGE = np.random.default_rng(0).random((1, 32, 32, 3), "float32")


@pytest.fixture(scope="module")
def model():
    model = Split(("depth", "normal"), (32, 32, 3), (4, 4, 4, 4, 4))
    model.compile("adam", balancer="dwa")
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "rooms"
    model.save_to_preset(folder)
    return folder


def test_a_preset_is_the_network(model, folder, tmp_path):
    assert {path.name for path in folder.iterdir()} == FILES
    loaded = from_preset(folder)
    assert type(loaded) is Split and not loaded.compiled
    expected, found = (network.predict(IMAGE, verbose=0) for network in (model, loaded))
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    loaded.save_to_preset(tmp_path / "half", dtype="float16")
    half = from_preset(tmp_path / "half")
    for variable, value in zip(half.weights, loaded.weights, strict=True):
        assert variable.dtype == "float32"
        value = keras.ops.convert_to_numpy(value)
        rounded = value.astype("float16") if value.ndim > 1 else value
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), rounded)
    sizes = [(path / "model.weights.h5").stat().st_size for path in (tmp_path / "half", folder)]
    assert sizes[0] < sizes[1]


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "array, is_half",
    [
        (np.full((2, 2), 0.1), True),
        (np.array([[1.0, 1e-7]]), True),  # no more is lost than of the larger number
        (np.full((2, 2), 1e-7), False),  # all of it would be
        (np.full((2, 2), 1e5), False),
        (np.array([[np.nan, 1.0]]), False),
        (np.full(4, 0.1), False),  # a variance, or a bias
        (np.zeros((0, 2)), False),
    ],
)
def test_half_precision_only_where_nothing_is_lost(array, is_half):
    array = array.astype("float32")
    half = weights.to_half(array)
    assert half.dtype == ("float16" if is_half else "float32")
    lost = np.abs(half - array)
    assert not (lost > 2.0**-11 * np.abs(array).max(initial=0)).any()


@pytest.mark.one_backend
@pytest.mark.parametrize("name", keras_atinet.presets())
def test_presets_of_the_package(name):
    folder = locating.find_preset(name)
    assert {path.name for path in folder.iterdir()} == FILES
    assert sum(path.stat().st_size for path in folder.iterdir()) < MAX_BYTES
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: keras\n") and "to fill in" not in card.lower()
    assert "\nlicense: other\n" in card and "research use" in card and "## Limits" in card
    assert f'keras_atinet.from_preset("{name}")' in card and "/tmp" not in card
    network = from_preset(name)
    assert [task.name for task in network.tasks] == ["segmentation", "depth", "normal"]
    assert len(network.tasks[0].class_names) == 13
    for output in network.predict(np.full((1, *network.input_shape[1:]), 0.5), verbose=0).values():
        assert np.isfinite(output).all() and output.std() > 0.01
