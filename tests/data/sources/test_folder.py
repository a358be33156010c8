import json
import pathlib
import pickle
import sys

import numpy as np
import pytest

from keras_atinet import runs
from keras_atinet.data import Folder, Subset, open_source, prepare, splits

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.backend_free
NYU = pathlib.Path(__file__).parents[3].parent / "shared" / "nyuv2"
SIZE = (6, 8)
LABELS = np.arange(48, dtype="uint8").reshape(SIZE) % 4
MILLIMETRES = np.arange(48, dtype="uint16").reshape(SIZE) * 100
NORMALS = np.full((*SIZE, 3), [0.6, 0.0, -0.8])


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array).save(path)


@pytest.fixture
def root(tmp_path):
    """Three pictures; the last has no depth."""
    labels = LABELS.copy()
    labels[0, 0] = 255
    normals = np.rint((NORMALS + 1) * 127.5).astype("uint8")
    normals[0, 0] = 128
    for name in ("a", "b", "c"):
        image = np.full((*SIZE, 3), 51 * (ord(name) - ord("a")), "uint8")
        save(tmp_path / "train" / "image" / f"{name}.png", image)
        save(tmp_path / "train" / "label4" / f"{name}.png", labels)
        save(tmp_path / "train" / "normal" / f"{name}.png", normals)
        if name != "c":
            save(tmp_path / "train" / "depth" / f"{name}.png", MILLIMETRES)
    return tmp_path


def test_files_become_samples(root):
    source = Folder(root)
    assert len(source) == 3 and source.split == "train" and source.image_size == SIZE
    assert source.tasks == {
        "segmentation": {"kind": "segmentation", "num_classes": 4},
        "depth": {"kind": "depth"},
        "normal": {"kind": "normal"},
    }
    sample = source[1]
    np.testing.assert_allclose(sample["image"], np.full((*SIZE, 3), 0.2), atol=1e-6)
    expected = LABELS.astype("int32")
    expected[0, 0] = -1
    np.testing.assert_array_equal(sample["segmentation"], expected)
    np.testing.assert_allclose(sample["depth"][..., 0], MILLIMETRES / 1000, rtol=1e-6)
    np.testing.assert_array_equal(sample["normal"][0, 0], 0)
    np.testing.assert_allclose(sample["normal"][1:], NORMALS[1:], atol=0.005)
    np.testing.assert_allclose(np.linalg.norm(sample["normal"][1:], axis=-1), 1, atol=1e-6)
    dtypes = {key: value.dtype.name for key, value in sample.items()}
    assert dtypes.pop("segmentation") == "int32" and set(dtypes.values()) == {"float32"}
    assert set(source[2]) == {"image", "segmentation", "normal"}
    assert [set(sample) for sample in pickle.loads(pickle.dumps(source))] == [
        set(sample) for sample in source
    ]


def test_only_the_chosen_tasks_are_read(root):
    assert set(Folder(root, tasks=["depth"])[0]) == {"image", "depth"}
    assert set(Folder(root, tasks=[])[0]) == {"image"}


def test_folder_without_splits(root):
    source = Folder(root / "train", split=None)
    assert len(source) == 3 and source.split is None
    with pytest.raises(FileNotFoundError, match="split=None"):
        Folder(root / "train")


def test_arrays_are_read(tmp_path):
    save(tmp_path / "image" / "a.png", np.zeros((*SIZE, 3), "uint8"))
    depth = np.full(SIZE, 2.5)
    depth[0, :3] = [np.nan, -1, np.inf]
    save(tmp_path / "depth" / "a.npy", depth)
    save(tmp_path / "normal" / "a.npy", 2 * NORMALS)
    save(tmp_path / "segmentation" / "a.npy", LABELS.astype("int64") - 1)
    source = Folder(tmp_path, split=None)
    sample = source[0]
    np.testing.assert_array_equal(sample["depth"][0, :4, 0], [0, 0, 0, 2.5])
    np.testing.assert_allclose(sample["normal"], NORMALS, atol=1e-6)
    np.testing.assert_array_equal(sample["segmentation"], LABELS.astype("int32") - 1)
    counted = {"kind": "segmentation", "num_classes": 3, "counted_classes": True}
    assert source.tasks["segmentation"] == counted


def test_dataset_json_is_followed(root):
    tasks = {
        "segmentation": {
            "folder": "label4",
            "num_classes": 4,
            "ignore_class": 3,
            "class_names": ["w", "x", "y", "z"],
            "class_colors": [[0, 0, 0]] * 4,
        },
        "segmentation2": {"folder": "coarse", "num_classes": 2},
        "depth": {"scale": 0.01, "missing": 100},
    }
    save(root / "train" / "coarse" / "a.png", LABELS // 2)
    save(root / "train" / "label4" / "a.png", LABELS)
    (root / "dataset.json").write_text(json.dumps({"tasks": tasks}))
    source = Folder(root)
    assert list(source.tasks) == ["segmentation", "depth"]
    facts = ["kind", "num_classes", "ignore_class", "class_names", "class_colors"]
    assert list(source.tasks["segmentation"]) == facts
    assert runs.get_tasks(source, ["segmentation"])[0].ignore_class == 3
    expected = np.where(LABELS == 3, -1, LABELS.astype("int32"))
    np.testing.assert_array_equal(source[0]["segmentation"], expected)
    np.testing.assert_allclose(source[0]["depth"][0, :3, 0], [0, 0, 2])
    coarse = Folder(root, tasks=("segmentation2",))
    np.testing.assert_array_equal(coarse[0]["segmentation2"], LABELS // 2)
    with pytest.raises(FileNotFoundError, match=r"segmentation2.*'normal' in `tasks`"):
        Folder(root, tasks=["normal"])


def test_with_more_than_255_classes_255_is_one(root):
    """Also where the number is guessed, from the masks of all pictures."""
    labels = np.full(SIZE, 255, "uint16")
    labels[0, :2] = [299, 254]
    save(root / "train" / "segmentation" / "a.png", labels)
    for stated in ({"num_classes": 300}, {}):
        (root / "dataset.json").write_text(json.dumps({"tasks": {"segmentation": stated}}))
        source = Folder(root)
        assert source.tasks["segmentation"]["num_classes"] == 300
        np.testing.assert_array_equal(source[0]["segmentation"], labels)
        (prepared,) = prepare(source, root / f"fast {len(stated)}", verbose=0)
        np.testing.assert_array_equal(prepared[0]["segmentation"], labels)
    stated = {"num_classes": 300, "ignore_class": 255}
    (root / "dataset.json").write_text(json.dumps({"tasks": {"segmentation": stated}}))
    expected = np.where(labels == 255, -1, labels.astype("int32"))
    np.testing.assert_array_equal(Folder(root)[0]["segmentation"], expected)


@pytest.mark.parametrize("stated", [{}, {"num_classes": 2}])
def test_masks_of_0_and_255(root, stated):
    mask = np.where(LABELS > 1, 255, 0).astype("uint8")
    save(root / "train" / "segmentation" / "a.png", mask)

    def opened(**facts):
        description = {"tasks": {"segmentation": {**stated, **facts}}}
        (root / "dataset.json").write_text(json.dumps(description))
        return Folder(root)

    with pytest.raises(
        ValueError, match=r'no class but 0, and 255.*"values": \{"0": 0, "255": 1\}'
    ):
        opened()
    source = opened(values={"0": 0, "255": 1}, class_names=["wall", "door"])
    assert source.tasks["segmentation"]["num_classes"] == 2
    np.testing.assert_array_equal(source[0]["segmentation"], mask // 255)
    (prepared,) = prepare(source, root / "fast", verbose=0)
    np.testing.assert_array_equal(prepared[0]["segmentation"], mask // 255)
    ignoring = opened(values={"0": None, "255": 1})
    np.testing.assert_array_equal(ignoring[0]["segmentation"], np.where(mask, 1, -1))
    with pytest.raises(ValueError, match=r"'0', '1'\].*Received: 255 in .*a\.png.*or to null"):
        opened(values={"0": 0, "1": 1})[0]
    ignored = np.where(mask == 255, -1, 0)
    np.testing.assert_array_equal(opened(ignore_class=255)[0]["segmentation"], ignored)
    # Both classes are there: 255 is ignored, as ever.
    mask[1, 1] = 1
    save(root / "train" / "segmentation" / "a.png", mask)
    assert np.unique(opened()[0]["segmentation"]).tolist() == [-1, 0, 1]


def test_kinds_are_stated(tmp_path):
    save(tmp_path / "image" / "a.png", np.zeros((*SIZE, 3), "uint8"))
    save(tmp_path / "range" / "a.png", MILLIMETRES)
    flow = np.arange(96, dtype="float64").reshape(*SIZE, 2)
    flow[0, 0] = [np.nan, 1e300]
    save(tmp_path / "flow" / "a.npy", flow)
    stated = {"range": {"kind": "depth"}, "flow": {"kind": "quantity", "channels": 2}}
    (tmp_path / "dataset.json").write_text(json.dumps({"tasks": stated}))
    source = Folder(tmp_path, split=None, tasks=["range", "flow"])
    assert source.tasks == stated
    sample = source[0]
    np.testing.assert_allclose(sample["range"][..., 0], MILLIMETRES / 1000, rtol=1e-6)
    flow[0, 0] = 0
    np.testing.assert_array_equal(sample["flow"], flow.astype("float32"))
    for wrong in ({"kind": "sound"}, {"kind": "quantity"}, {}):
        (tmp_path / "dataset.json").write_text(json.dumps({"tasks": {"flow": wrong}}))
        with pytest.raises(ValueError, match="'flow'"):
            Folder(tmp_path, split=None, tasks=["flow"])


def test_one_task_of_each_kind_is_read_by_default(root):
    """That of the kind's name, or else the first; and all quantities."""
    stated = {
        "labels3": {"kind": "segmentation", "folder": "label4", "num_classes": 4},
        "labels2": {"kind": "segmentation", "folder": "label4", "num_classes": 4},
        "boxes": {},
        "normal": {},
        "normal2": {"folder": "normal"},
        "flow": {"channels": 2},
        "heat": {"channels": 1},
    }
    for name in ("flow", "heat"):
        (root / "train" / name).mkdir()
    (root / "dataset.json").write_text(json.dumps({"tasks": stated}))
    source = Folder(root)
    assert list(source.tasks) == ["labels3", "normal", "flow", "heat"]
    assert source.notes == ("also described, not read: labels2, boxes, normal2 (--tasks)",)
    assert Folder(root, tasks=["labels2"]).notes == ()
    assert [task.name for task in runs.get_tasks(source)] == ["labels3", "normal"]
    assert "not learned: flow, heat" in runs.get_notes(Subset(source, 2))[1]
    assert [task.name for task in runs.get_tasks(source, single=True)] == ["labels3"]
    with pytest.raises(ValueError, match=r"Received: 'flow', a quantity.*of your own"):
        runs.get_tasks(source, ["normal", "flow"])
    with pytest.raises(ValueError, match=r"to learn. Received: .*'flow'.*of your own"):
        runs.get_tasks(Folder(root, tasks=["flow"]))


@pytest.mark.parametrize(
    ("name", "count"),
    [("label6", 6), ("labels_6", 6), ("label1000", 1000), ("label2023", 4), ("label06a", 4)],
)
def test_the_number_of_classes_in_a_name(root, name, count):
    (root / "train" / "label4").rename(root / "train" / name)
    source = Folder(root)
    assert source.tasks["segmentation"]["num_classes"] == count
    origin = "largest label" if count == 4 else f"by the name of the folder '{name}'"
    assert f"segmentation: {count} classes, " in source.notes[0] and origin in source.notes[0]


def test_names_are_compared_in_one_unicode_normalization(tmp_path):
    """Archives from macOS have letters and accents apart."""
    composed, apart = "t\u00fcr", "tu\u0308r"
    save(tmp_path / "image" / f"{composed}.png", np.zeros((*SIZE, 3), "uint8"))
    save(tmp_path / apart / f"{apart}.png", MILLIMETRES)
    stated = {"tasks": {"depth": {"folder": composed}}}
    (tmp_path / "dataset.json").write_text(json.dumps(stated))
    assert set(Folder(tmp_path, split=None)[0]) == {"image", "depth"}
    save(tmp_path / apart / f"{composed}.png", MILLIMETRES)
    with pytest.raises(ValueError, match=r"'tu\\u0308r.png' and 't\\xfcr.png'"):
        Folder(tmp_path, split=None)


def test_folders_are_no_pictures_and_links_lead_somewhere(root):
    images = root / "train" / "image"
    (images / "d.png").mkdir()
    (images / "._a.png").write_bytes(b"of macOS")
    (root / "val" / "image" / "e.png").mkdir(parents=True)
    assert len(Folder(root)) == 3
    # A split without pictures is not left out without a word, or another would take its place.
    assert splits(root) == ["train", "val"]
    with pytest.raises(FileNotFoundError, match="needs pictures"):
        Folder(root, "val")
    (images / "e.png").symlink_to(images / "a.png")
    assert len(Folder(root)) == 4
    for target in (root / "nowhere.png", images / "f.png"):
        (images / "f.png").symlink_to(target)
        with pytest.raises(ValueError, match=r"A link must lead somewhere.*image/f\.png"):
            Folder(root)
        (images / "f.png").unlink()
    for place in (root / "train" / "edges", root / "extra"):
        place.symlink_to(place.name)
        with pytest.raises(ValueError, match=f"A link must lead somewhere.*{place.name}"):
            open_source(root)
        place.unlink()


def test_missing_parts_are_named(root):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Folder(root / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"\['train'\].*split='val'"):
        Folder(root, split="val")
    (root / "test" / "depth").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no subfolder `image`"):
        Folder(root, split="test")
    (root / "test" / "image").mkdir()
    with pytest.raises(FileNotFoundError, match="needs pictures"):
        Folder(root, split="test")
    (root / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no pictures"):
        Folder(root / "empty")
    with pytest.raises(FileNotFoundError, match="'edges' in `tasks`"):
        Folder(root, tasks=["edges"])
    (root / "dataset.json").write_text('{"tasks": {"depth": {"folder": "range"}}}')
    with pytest.raises(FileNotFoundError, match=r"'depth' is missing.*range"):
        Folder(root)


def test_inconsistent_folders_are_refused(root):
    extra = root / "train" / "depth" / "z.png"
    save(extra, MILLIMETRES)
    with pytest.raises(ValueError, match=r"picture of the same name.*z\.png"):
        Folder(root)
    extra.unlink()
    save(root / "train" / "label9" / "a.png", LABELS)
    with pytest.raises(ValueError, match=r"\['label4', 'label9'\]"):
        Folder(root)
    (root / "dataset.json").write_text('{"tasks": ')
    with pytest.raises(ValueError, match=r"not valid JSON.*dataset\.json"):
        Folder(root)
    (root / "dataset.json").write_text('{"tasks": {"normal": {"encoding": "polar"}}}')
    with pytest.raises(ValueError, match="'polar'"):
        Folder(root)
    save(root / "train" / "image" / "a.jpg", np.zeros((*SIZE, 3), "uint8"))
    with pytest.raises(ValueError, match=r"a\.jpg.*a\.png"):
        Folder(root)


def test_the_stated_size_is_checked(root):
    (root / "dataset.json").write_text('{"image_size": [8, 6], "tasks": {"normal": {}}}')
    source = Folder(root)
    assert source.image_size == (8, 6)
    with pytest.raises(ValueError, match=r"dataset.json, \(8, 6\).*a\.png.*\(6, 8\)"):
        source[0]


@pytest.mark.parametrize(
    ("folder", "array", "message"),
    [
        ("label4", np.zeros((3, 3), "uint8"), r"as large as its picture.*label4.a\.png.*\(3, 3\)"),
        ("depth", np.zeros((3, 3), "uint16"), r"as large as its picture.*depth"),
        ("normal", np.zeros((3, 3, 3), "uint8"), r"as large as its picture.*normal"),
        ("label4", np.full(SIZE, 4, "uint8"), r"class 4 in .*label4.a\.png.*num_classes=4"),
        ("label4", np.zeros((*SIZE, 3), "uint8"), r"class indices.*label4.a\.png.*\(6, 8, 3\)"),
        ("depth", np.zeros((*SIZE, 3), "uint8"), r"depth in one channel.*depth.a\.png"),
        ("depth", np.zeros(SIZE, "uint8"), r"16-bit millimetres.*depth.a\.png"),
        ("normal", np.zeros(SIZE, "uint8"), r"'normal' of a sample.*three channels.*normal.a\.png"),
    ],
)
def test_wrong_files_are_named(root, folder, array, message):
    save(root / "train" / folder / "a.png", array)
    source = Folder(root)
    with pytest.raises(ValueError, match=message):
        source[0]


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_damaged_files_are_named(tmp_path, suffix, share):
    path = tmp_path / "image" / f"a.{suffix}"
    save(path, np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8"))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    message = "zero bytes" if share == 0 else "cut short"
    with pytest.raises(ValueError, match=rf"{message}.*a\.{suffix}"):
        Folder(tmp_path, split=None)[0]


def test_pictures_may_differ_in_size(root):
    save(root / "train" / "image" / "c.png", np.zeros((4, 4, 3), "uint8"))
    source = Folder(root, tasks=["depth"])
    assert source.image_size is None
    assert source[2]["image"].shape == (4, 4, 3)


def test_pillow_is_asked_for_kindly(root, monkeypatch):
    source = Folder(root)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"keras-atinet\[data\]"):
        source[0]


@pytest.mark.skipif(not NYU.is_dir(), reason=f"NYUv2 is not at {NYU}")
def test_nyuv2():
    train, test = Folder(NYU), Folder(NYU, split="test")
    assert (len(train), len(test)) == (795, 654)
    assert train.image_size == (288, 384)
    assert train.tasks["segmentation"]["class_names"][4] == "floor"
    samples = [train[index] for index in range(0, 795, 80)]
    labels = np.stack([sample["segmentation"] for sample in samples])
    assert labels.min() == -1 and labels.max() == 12
    assert 0.05 < (labels == -1).mean() < 0.25
    for sample in samples:
        assert sample["depth"].min() > 0.3 and sample["depth"].max() < 11
        length = np.linalg.norm(sample["normal"], axis=-1)
        assert (np.abs(length - 1) < 1e-5).mean() > 0.95
        assert sample["normal"][..., 2].mean() < -0.3
    assert Folder(NYU, tasks=["segmentation40"])[0]["segmentation40"].max() > 12
