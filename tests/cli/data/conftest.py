import functools
import json

import numpy as np
import pytest

from keras_atinet.data import Rooms

Image = pytest.importorskip("PIL.Image")
SIZE = (24, 32)


@pytest.fixture
def run(run_cli):
    """A function that runs `keras-atinet data`."""
    return functools.partial(run_cli, "data")


@pytest.fixture(name="save", scope="session")
def _save():
    return save


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def folder(tmp_path):
    """Five and three rooms; the first of a split has no depth, and no room is a book."""
    path = tmp_path / "some rooms"
    for split, length in (("train", 5), ("test", 3)):
        for index, sample in enumerate(Rooms(length, SIZE, split)):
            labels = np.where(sample["segmentation"] == 1, 6, sample["segmentation"])
            labels[:6] = 255
            name = f"{index}.png"
            save(path / split / "image" / name, (sample["image"] * 255).astype("uint8"))
            save(path / split / "label13" / name, labels.astype("uint8"))
            normal = np.rint((sample["normal"] + 1) * 127.5).astype("uint8")
            save(path / split / "normal" / name, normal)
            if index:
                depth = np.rint(sample["depth"][..., 0] * 1000).astype("uint16")
                save(path / split / "depth" / name, depth)
    tasks = {"segmentation": {"folder": "label13", "num_classes": 13}, "depth": {}, "normal": {}}
    names = [f"kind {index}" for index in range(13)]
    tasks["segmentation"]["class_names"] = names
    (path / "dataset.json").write_text(json.dumps({"tasks": tasks}))
    return path
