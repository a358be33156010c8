"""The examples of the guide run."""

import json
import pathlib
import re
import shlex

import numpy as np
import pytest

from keras_atinet import cli
from keras_atinet.data import Rooms
from keras_atinet.data.sources.dataset_json import read_dataset_json

pytest.importorskip("matplotlib")
pytest.importorskip("tensorflow")
Image = pytest.importorskip("PIL.Image")
h5py = pytest.importorskip("h5py")
pyarrow = pytest.importorskip("pyarrow")
io = pytest.importorskip("scipy.io")
pytestmark = pytest.mark.backend_free
DOCS = pathlib.Path(__file__).parents[1] / "docs"
GUIDE = (DOCS / "data.md").read_text(encoding="utf-8") if DOCS.is_dir() else ""
SIZE = (32, 48)


def blocks(language):
    pattern = rf"(<!-- not run[^\n]*-->\n)?```{language}\n(.*?)```"
    return [code for skip, code in re.findall(pattern, GUIDE, re.DOTALL) if not skip]


def write_folder(path):
    for split in ("train", "test"):
        for index, room in enumerate(Rooms(3, SIZE, split)):
            pictures = {
                "image": (room["image"] * 255).astype("uint8"),
                "label13": room["segmentation"].astype("uint8"),
                "label40": room["segmentation"].astype("uint8"),
                "depth": (room["depth"][..., 0] * 1000).astype("uint16"),
                "normal": np.rint((room["normal"] + 1) * 127.5).astype("uint8"),
            }
            for key, array in pictures.items():
                (path / split / key).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path / split / key / f"{index}.png")
    tasks = {"segmentation": {"folder": "label13", "num_classes": 13}, "depth": {}, "normal": {}}
    (path / "dataset.json").write_text(json.dumps({"tasks": tasks}))


def write_arrays(path):
    names = {"image": "image", "segmentation": "label", "depth": "depth", "normal": "normal"}
    for split in ("train", "val"):
        for index, room in enumerate(Rooms(2, SIZE, split)):
            for key, folder in names.items():
                (path / split / folder).mkdir(parents=True, exist_ok=True)
                np.save(path / split / folder / f"{index}.npy", room[key].astype("float64"))


def write_parquet(path):
    from pyarrow import parquet

    path.mkdir()
    rooms = list(Rooms(2, SIZE))
    columns = {
        key: [(r[key] if r[key].ndim == 2 else np.moveaxis(r[key], -1, 0)).tolist() for r in rooms]
        for key in rooms[0]
    }
    parquet.write_table(pyarrow.table(columns), path / "train-00000-of-00001.parquet")


def write_matlab(path):
    path.mkdir()
    with h5py.File(path / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = np.zeros((1, 3, 640, 480), "uint8")
        file["labels"] = np.ones((1, 640, 480), "uint16")
        file["depths"] = file["rawDepths"] = np.ones((1, 640, 480), "float32")
    io.savemat(path / "splits.mat", {"trainNdxs": [[1]], "testNdxs": [[1]]})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    write_folder(path / "nyuv2")
    write_arrays(path / "nyuv2_arrays")
    write_parquet(path / "nyuv2_parquet")
    write_matlab(path / "nyu")
    return path


def test_the_guide_has_its_examples():
    assert len(blocks("python")) >= 9 and len(blocks("bash")) >= 3
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", GUIDE):
        assert (DOCS / picture).is_file()


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.splitlines()[0][-40:])
def test_examples_in_python(data, code, monkeypatch, tmp_path):
    monkeypatch.chdir(data)
    names = {}
    exec(code.replace('"nyuv2-fast"', repr(str(tmp_path / "fast"))), names)
    batches = names.get("batches") or names.get("train") or names["val"]
    images, targets = next(batches.as_numpy_iterator())
    assert images.shape[-1] == 3 and np.isfinite(images).all()
    assert {"depth", "normal", "segmentation"} & set(targets)


@pytest.mark.parametrize("code", blocks("bash"))
def test_examples_of_the_command_line(data, code, monkeypatch):
    monkeypatch.chdir(data)
    for line in code.splitlines():
        assert line.startswith("keras-atinet data ")
        assert cli.main(shlex.split(line)[1:]) == 0


def test_the_descriptions_are_read(tmp_path):
    camvid, mapping, description = map(json.loads, blocks("json"))
    (tmp_path / "dataset.json").write_text(json.dumps(camvid))
    assert read_dataset_json(tmp_path) == camvid
    (tmp_path / "dataset.json").write_text(json.dumps(mapping))
    mapping["tasks"]["segmentation"]["num_classes"] = 2
    assert read_dataset_json(tmp_path) == mapping
    segmentation = description["tasks"]["segmentation"]
    segmentation["num_classes"] = len(segmentation["class_names"])
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    assert read_dataset_json(tmp_path) == description
