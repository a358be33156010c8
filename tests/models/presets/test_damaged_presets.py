"""Presets from anywhere: what is damaged, newer or not a preset is one clear error."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest

from keras_atinet import SingleTask, Task, from_preset
from keras_atinet.models.presets import files

pytestmark = pytest.mark.one_backend
FILES = ("config.json", "model.weights.h5")


def network(task):
    image = keras.Input((None, None, 3))
    middle = keras.layers.Conv2D(2, 3, strides=2)(image)
    encoder = keras.Model(image, keras.layers.Conv2D(2, 3, strides=2)(middle))
    return SingleTask(task, (32, 32, 3), (2,) * 5, encoder=encoder, preprocessing="unit")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "depth"
    network("depth").save_to_preset(folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "depth")


def sign(folder):
    """Makes the checksums those of changed files, as somebody with intent would."""
    metadata = json.loads((folder / "metadata.json").read_text())
    names = metadata["files"]
    metadata["files"] = {name: files._facts(folder / name) for name in names}
    (folder / "metadata.json").write_text(json.dumps(metadata))


def change(path, function):
    content = json.loads(path.read_text())
    path.write_text(json.dumps(function(content)))


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "model.weights.h5"])
def test_files_that_are_missing_or_damaged(folder, name):
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=f"Received: '.*{name}'"):
        from_preset(folder)
    path.write_bytes(data[:300] + b"+" + data[301:])
    if name != "metadata.json":
        with pytest.raises(ValueError, match=f"Received: '.*{name}'.*checksum"):
            from_preset(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"without {name}"):
        from_preset(folder)


@pytest.mark.parametrize(
    "facts, words",
    [
        ({"format": 2}, "newer format, 2.*--upgrade keras-atinet"),
        ({"format": None}, "says in its metadata"),
        ({"files": {"config.json": {}}}, "says in its metadata"),
        ({"files": []}, "says in its metadata"),
        ({"files": {key: {"bytes": {}, "sha256": ""} for key in FILES}}, "says in its metadata"),
    ],
)
def test_metadata_of_another_kind(folder, facts, words):
    change(folder / "metadata.json", lambda content: {**content, **facts})
    with pytest.raises(ValueError, match=words):
        from_preset(folder)


def a_class(**facts):
    return lambda content: {**content, "more": {"config": {}, **facts}}


@pytest.mark.parametrize(
    "function, words",
    [
        (a_class(module="os", class_name="system"), "'system' of 'os'"),
        (a_class(module="keras.layers", class_name="Lambda"), "'Lambda'"),
        (a_class(module="keras.layers", class_name="TFSMLayer"), "'TFSMLayer'"),
        (a_class(module=None, class_name="__lambda__"), "'__lambda__'"),
        (a_class(module="builtins", class_name="function"), "'function'"),
        (a_class(module=["os"], class_name="system"), "'system'"),
        (a_class(module="keras.layers", class_name=["Lambda"]), r"\['Lambda'\]"),
        (a_class(module=None, class_name="My", registered_name="mine>My"), "'My' of 'mine>My'"),
        (a_class(module="keras.layers", class_name="StringLookup"), "'StringLookup'"),
        (lambda content: {**content, "config": {"tasks": 7}}, "cannot be made"),
        (
            lambda content: {**content, "config": {"encoder_weights": "imagenet"}},
            "encoder_weights='imagenet'",
        ),
        (lambda content: {}, "a dict"),
        (
            lambda content: keras.saving.serialize_keras_object(
                keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
            ),
            "a Sequential",
        ),
    ],
)
def test_configs_that_ask_for_more(folder, function, words):
    change(folder / "config.json", function)
    sign(folder)
    with pytest.raises(ValueError, match=words) as error:
        from_preset(folder)
    assert "\n" not in str(error.value)


def cut(file):
    del file[dataset(file)]


def other_shape(file):
    name = dataset(file)
    del file[name]
    file[name] = np.zeros((1, 2, 3))


def not_finite(file):
    file[dataset(file)][...] = np.nan


def linked(file):
    name = dataset(file)
    del file[name]
    file[name] = h5py.ExternalLink("other.h5", "/x")


def outside(file):
    replaced(file, external=[("other.bin", 0, h5py.h5f.UNLIMITED)])


def compressed(file):
    replaced(file, compression="gzip", chunks=True)


def enormous(file):
    file.create_dataset("more", (2**40,), "float32")


def endless(file):
    group = file.create_group("more")
    group["more"] = group


def text(file):
    file["more"] = "text"


def replaced(file, **options):
    name = dataset(file)
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "float32", **options)


def dataset(file):
    """The name of a kernel."""
    found = []
    file.visititems(lambda name, item: found.append(name) if item_is_kernel(item) else None)
    return found[0]


def item_is_kernel(item):
    return isinstance(item, h5py.Dataset) and item.ndim == 4


@pytest.mark.parametrize(
    "function, words",
    [
        (cut, "it holds"),
        (other_shape, "it holds"),
        (not_finite, "kernel is missing there, or not finite"),
        (linked, "a link to another place"),
        (outside, "lies in another file"),
        (compressed, "in chunks"),
        (enormous, "and claims more"),
        (endless, "'more' is there twice"),
        (text, "'/more' is no array of numbers"),
    ],
)
def test_weights_that_are_others(folder, function, words):
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        function(file)
    sign(folder)
    with pytest.raises(ValueError, match=f"Received: '.*h5' .*{words}") as error:
        from_preset(folder)
    assert "\n" not in str(error.value)


def test_a_task_of_ones_own_is_not_written(tmp_path):
    @keras.saving.register_keras_serializable(package="mine")
    class Own(Task):
        pass

    model = network(Own("own", 1))
    with pytest.raises(ValueError, match=r"'Own' of 'mine>Own'.*model\.save"):
        model.save_to_preset(tmp_path / "own")
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_is_overwritten(folder):
    model = from_preset(folder)
    (folder / "README.md").write_text("by hand")
    model.save_to_preset(folder)
    assert (folder / "README.md").read_text() == "by hand"
    (folder / "metadata.json").unlink()
    with pytest.raises(FileExistsError, match="Choose another"):
        model.save_to_preset(folder)
    with pytest.raises(ValueError, match="dtype='int8'"):
        model.save_to_preset(folder, dtype="int8")
