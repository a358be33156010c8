"""Descriptions that state what cannot be, and faulty samples; see also `tests/mutations`."""

import io
import json

import numpy as np
import pytest

from keras_atinet.data import Batches, Rooms, open_source, prepare
from keras_atinet.data.preparation.problems import problems

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.backend_free
SIZE = (24, 32)
ROOM = Rooms(1, SIZE)[0]
LABELS = ROOM["segmentation"].astype("uint8")
MILLIMETRES = np.rint(ROOM["depth"][..., 0] * 1000).astype("uint16")
PIXELS = np.rint(ROOM["image"] * 255).astype("uint8")
COLORS = np.rint((ROOM["normal"] + 1) * 127.5).astype("uint8")


def encoded(array, suffix):
    file = io.BytesIO()
    if suffix == "npy":
        np.save(file, array)
    else:
        Image.fromarray(array).save(file, {"jpg": "jpeg"}.get(suffix, suffix))
    return file.getvalue()


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_pictures(root, suffix="png"):
    write(
        root,
        {
            f"train/image/a.{suffix}": encoded(PIXELS, suffix),
            "train/segmentation/a.png": encoded(LABELS, "png"),
            "train/depth/a.png": encoded(MILLIMETRES, "png"),
            f"train/normal/a.{suffix}": encoded(COLORS, suffix),
            "dataset.json": json.dumps(
                {
                    "image_size": SIZE,
                    "tasks": {
                        "segmentation": {"num_classes": 13, "ignore_class": 255},
                        "depth": {"scale": 0.001, "missing": 0},
                        "normal": {"encoding": "rgb"},
                    },
                }
            ).encode(),
        },
    )


def write_prepared(root):
    prepare(Rooms(1, SIZE), root, verbose=0)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ([1], "an? JSON object"),
        ({"tasks": ["depth"]}, "`tasks`"),
        ({"tasks": {"depth": 0.001}}, "'depth'"),
        ({"tasks": {"depth": {"scale": "0.001"}}}, "`scale` of 'depth'"),
        ({"tasks": {"depth": {"scale": 0}}}, "`scale` of 'depth'"),
        ({"tasks": {"depth": {"folder": 3}}}, "`folder` of 'depth'"),
        ({"tasks": {"segmentation": {"num_classes": "13"}}}, "`num_classes` of 'segmentation'"),
        ({"tasks": {"segmentation": {"num_classes": 0}}}, "`num_classes` of 'segmentation'"),
        ({"tasks": {"segmentation": {"num_classes": 1}}}, "from 2 .* mask has two classes"),
        ({"tasks": {"my depth": {}}}, "The key of a task must .*'my depth'"),
        ({"tasks": {"segmentation": {"values": [0, 255]}}}, "`values` of 'segmentation'"),
        ({"tasks": {"segmentation": {"values": {}}}}, "`values` of 'segmentation'"),
        (
            {"tasks": {"segmentation": {"values": {"0": 0, "0xff": 1}}}},
            "`values` of 'segmentation'",
        ),
        (
            {"tasks": {"segmentation": {"values": {"0": 0, "255": -1}}}},
            "`values` of 'segmentation'",
        ),
        ({"tasks": {"segmentation": {"values": {"0": 0, "255": 0}}}}, "at least two classes"),
        (
            {"tasks": {"segmentation": {"num_classes": 3, "values": {"0": 0, "255": 3}}}},
            "`values` of 'segmentation' must be of classes below 3",
        ),
        (
            {"tasks": {"segmentation": {"ignore_class": 2, "values": {"0": 0, "255": 1}}}},
            "`ignore_class` .* null",
        ),
        (
            {"tasks": {"segmentation": {"values": {"0": 0, "9": 1}, "class_names": ["a"]}}},
            "`class_names`",
        ),
        ({"tasks": {"segmentation": {"num_classes": 2, "class_names": "ab"}}}, "`class_names`"),
        ({"tasks": {"segmentation": {"num_classes": 2, "class_names": ["a"]}}}, "`class_names`"),
        ({"tasks": {"segmentation": {"class_colors": [[0, 0]]}}}, "`class_colors`"),
        ({"tasks": {"segmentation": {"ignore_class": "void"}}}, "`ignore_class`"),
        ({"tasks": {"flow": {"kind": "quantity", "channels": 2.5}}}, "`channels` of 'flow'"),
        ({"tasks": {"depth": {"scale": 1e308}}}, "`scale` of 'depth' must be metres"),
        ({"tasks": {"depth": {"scale": float("inf")}}}, "tasks.depth.scale is not"),
        ({"tasks": {"depth": {"missing": "nothing"}}}, "`missing` of 'depth'"),
        ({"tasks": {"depth": {"folder": "/etc"}}}, "`folder` of 'depth' .* within a split"),
        ({"tasks": {"depth": {"folder": "a/../../b"}}}, "`folder` of 'depth'"),
        ({"tasks": {"depth": {"folder": "C:depth"}}}, "`folder` of 'depth'"),
        ({"tasks": {"depth": {"folder": "..\\depth"}}}, "`folder` of 'depth'"),
        ({"tasks": {"depth": {"folder": ""}}}, "`folder` of 'depth'"),
        ({"tasks": {"depth": {"folder": "d" * 300}}}, "`folder` of 'depth'"),
        ({"tasks": {"depth": {"kind": "sound"}}}, "`kind` of 'depth'"),
        ({"tasks": {"depth": {"Scale": 0.01}}}, "`Scale` of 'depth' .*Is `scale` meant"),
        ({"Tasks": {"depth": {"scale": 0.01}}}, "`Tasks` .*Is `tasks` meant"),
        ({"tasks": {"segmentation": {"num_classes": 10**9}}}, "`num_classes` of 'segmentation'"),
        ({"image_size": 24}, "`image_size`"),
        ({"image_size": [24, 0]}, "`image_size`"),
    ],
)
def test_descriptions_are_checked(tmp_path, description, message):
    write_pictures(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match=message) as error:
        open_source(tmp_path)
    assert str(tmp_path / "dataset.json") in str(error.value)


def test_dataset_json_is_read_as_others_write_it(tmp_path):
    write_pictures(tmp_path)
    file = tmp_path / "dataset.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert problems(open_source(tmp_path)[0], Rooms.tasks) == {}
    file.write_text('{"tasks": {"depth": {}, "depth": {"scale": 0.01}}}')
    with pytest.raises(ValueError, match=r"'depth' occurs twice"):
        open_source(tmp_path)
    file.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"nested too deeply. Received: .*dataset\.json"):
        open_source(tmp_path)
    for target in ("nowhere", "dataset.json"):
        file.unlink()
        file.symlink_to(tmp_path / target)
        with pytest.raises(ValueError, match=r"dataset\.json"):
            open_source(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(ValueError, match=r"dataset\.json' .Is a directory"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"samples": 1.0, "written": 1.0},
        {"samples": True, "written": True},
        {"samples": -1, "written": -1},
        {"samples": "1", "written": "1"},
        {"samples": 10**20, "written": 10**20},
        {"image_size": [24.0, 32]},
        {"image_size": "24"},
        {"image_size": [24, 32, 3]},
        {"tasks": {"../image": {"kind": "depth"}}},
        {"tasks": {"depth": {"kind": "quantity", "channels": 10**12}}},
        {"tasks": ["depth"]},
        {"format": "1"},
    ],
)
def test_descriptions_of_prepared_data_are_checked(tmp_path, changed):
    write_prepared(tmp_path)
    file = tmp_path / "train" / "prepared.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    with pytest.raises(ValueError, match=r"train.(prepared\.json|image\.npy|depth\.npy)'"):
        open_source(tmp_path)


def test_faulty_samples_are_skipped_and_counted(tmp_path):
    write_pictures(tmp_path)
    for name in "bcd":
        for key in ("image", "segmentation", "depth", "normal"):
            content = (tmp_path / "train" / key / "a.png").read_bytes()
            (tmp_path / "train" / key / f"{name}.png").write_bytes(content)
    (tmp_path / "train" / "depth" / "b.png").write_bytes(b"")
    (tmp_path / "train" / "image" / "d.png").write_bytes(b"no picture")
    source = open_source(tmp_path)
    with pytest.raises(ValueError, match=r"'depth' .*b\.png"):
        list(Batches(source, batch_size=4, workers=0).as_numpy_iterator())
    batches = Batches(source, batch_size=4, workers=0, on_error="skip")
    with pytest.warns(UserWarning) as caught:
        ((images, targets),) = batches.as_numpy_iterator()
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == 2 and "samples so far: 2" in texts[1] and "d.png" in texts[1]
    assert len(images) == 4 and np.isfinite(images).all()
    assert all(np.isfinite(target).all() for target in targets.values())
