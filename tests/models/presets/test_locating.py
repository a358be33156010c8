"""Where presets are found; the hubs are stubs."""

import sys
import types

import pytest

from keras_atinet import settings
from keras_atinet.models.presets import locating

pytestmark = pytest.mark.backend_free
NAME = settings.DEFAULT_PRESET


@pytest.fixture
def hubs(monkeypatch, tmp_path):
    """Stubs of both packages; the list of what they were asked for."""
    asked = []

    def snapshot_download(repo_id, revision, allow_patterns):
        asked.append((repo_id, revision, sorted(allow_patterns)))
        return str(tmp_path)

    def model_download(handle):
        asked.append(handle)
        return str(tmp_path)

    for name, function in (("huggingface_hub", snapshot_download), ("kagglehub", model_download)):
        stub = types.SimpleNamespace(**{function.__name__: function})
        monkeypatch.setitem(sys.modules, name, stub)
    return asked


def test_what_is_found(hubs, tmp_path):
    files = ["README.md", "config.json", "metadata.json", "model.weights.h5"]
    for preset, request in (
        ("hf://org/rooms", ("org/rooms", None, files)),
        ("hf://org/rooms@v1.0", ("org/rooms", "v1.0", files)),
        ("kaggle://org/rooms/keras/lite2", "org/rooms/keras/lite2"),
        ("kaggle://org/rooms/keras/lite2/3", "org/rooms/keras/lite2/3"),
    ):
        assert locating.is_preset(preset)
        assert locating.find_preset(preset) == tmp_path and hubs.pop() == request
    assert locating.find_preset(tmp_path) == tmp_path
    assert not locating.is_preset(tmp_path) and not locating.is_preset("runs/first")
    (tmp_path / "metadata.json").write_text("{}")
    assert locating.is_preset(tmp_path)


def test_a_name_of_the_package_comes_before_a_folder(tmp_path, monkeypatch):
    (tmp_path / NAME).mkdir()
    monkeypatch.chdir(tmp_path)
    assert locating.is_preset(NAME)
    monkeypatch.setattr(locating, "PRESETS", {NAME: "", "other": ""})
    with pytest.raises(FileNotFoundError, match=r"'other'.*Install the package again"):
        locating.find_preset("other")
    assert locating.find_preset(f"./{NAME}").samefile(tmp_path / NAME)


@pytest.mark.parametrize(
    "preset, words",
    [
        (NAME[1:], f"There is no such preset.*Did you mean '{NAME}'"),
        ("rooms", f"There is no such preset.*hf://org/name.*There is {NAME}"),
        ("s3://org/rooms", "There is no such hub.*'s3://org/rooms'.*hf://org/name"),
        ("hf://rooms", "'hf://org/name', with.*'hf://rooms'"),
        ("hf://../x", "'hf://../x'"),
        ("kaggle://org/rooms", "kaggle://org/model/keras/variant.*'kaggle://org/rooms'"),
    ],
)
def test_what_is_not(hubs, preset, words):
    with pytest.raises((FileNotFoundError, ValueError), match=words):
        locating.find_preset(preset)
    assert not hubs


@pytest.mark.parametrize(
    "preset, package",
    [("hf://org/rooms", "huggingface_hub"), ("kaggle://org/rooms/keras/lite2", "kagglehub")],
)
def test_hubs_that_fail(hubs, monkeypatch, preset, package):
    def fail(*args, **options):
        raise RuntimeError("404:\nno such repository")

    monkeypatch.setattr(sys.modules[package], "snapshot_download", fail, raising=False)
    monkeypatch.setattr(sys.modules[package], "model_download", fail, raising=False)
    with pytest.raises(OSError, match=rf"'{preset}' \(RuntimeError: 404: no such .*the network"):
        locating.find_preset(preset)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"'{preset}'.*`pip install {package}`"):
        locating.find_preset(preset)
