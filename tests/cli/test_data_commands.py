import json
import re
import sys

import numpy as np
import pytest

from keras_atinet import cli
from keras_atinet.data import Rooms
from keras_atinet.data.preparation.prepared import Prepared

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")
SIZE = (24, 32)


def run(*arguments):
    return cli.main(["data", *map(str, arguments)])


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


def test_inspect_prints_and_draws(folder, tmp_path, capsys):
    assert run("inspect", folder, "--out", tmp_path / "new" / "sheet.png") == 0
    text = capsys.readouterr().out
    assert f"{folder}: a folder of images" in text
    assert "train: 5 samples of 24 x 32 pixels\n" in text and "test: 3 samples" in text
    labels = [Image.open(file) for file in sorted((folder / "train" / "label13").iterdir())]
    known = np.concatenate([np.asarray(label)[6:].ravel() for label in labels])
    counts = np.bincount(known, minlength=13)
    share = 100 * counts.max() / known.size
    assert f"kind {counts.argmax()} {share:.1f} %" in text
    assert re.search(r"segmentation +75\.0 % of the pixels known; 13 classes", text)
    assert re.search(r"nowhere: .*\bkind 1\b", text)
    depth = np.stack([room["depth"] for room in list(Rooms(5, SIZE))[1:]])
    span = f"{depth.min():.2f} to {depth.max():.2f} m"
    assert re.search(rf"depth +in 4 of 5, 100\.0 % of the pixels known; {span}", text)
    assert re.search(r"normal +100\.0 % .*mean direction \(", text)
    assert re.search(r"image +0\.\d\d to [01]\.\d\d, mean colour", text)
    # Three rows of each split, four columns.
    width, height = Image.open(tmp_path / "new" / "sheet.png").size
    assert width == pytest.approx(4 * 2.3 * 120, abs=2) and height > 6 * 2.3 * 120 * 24 / 32


def test_inspect_goes_on_after_faults(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = folder / "train" / "image" / "2.png"
    file.write_bytes(b"")
    save(folder / "train" / "image" / "4.png", np.zeros((48, 64, 3), "uint8"))
    for key in ("label13", "normal", "depth"):
        (folder / "train" / key / "4.png").unlink()
    assert run("inspect", folder, "--splits", "train", "--tasks", "depth") == 0
    text = capsys.readouterr().out
    assert "5 samples of 24 x 32 to 48 x 64 pixels; the numbers are from 4 of them" in text
    assert "1 cannot be read, for instance: The 'image' of a sample cannot be read." in text
    assert "2.png" in text and "segmentation" not in text and "test:" not in text
    assert (tmp_path / "some rooms-samples.png").exists()
    for file in (folder / "train" / "image").iterdir():
        file.write_bytes(b"")
    assert run("inspect", folder, "--splits", "train") == 2
    assert "data verify '" in capsys.readouterr().err


def test_a_folder_without_a_name(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert run("inspect", ".", "--splits", "test") == 0
    assert (folder / "some rooms-samples.png").exists()


def test_inspect_guesses_what_is_not_stated(folder, tmp_path, capsys):
    """Classes are called the same in the text and in the picture; splits may have fewer."""
    (folder / "dataset.json").unlink()
    assert run("inspect", folder, "--out", tmp_path / "a.png") == 0
    assert "wall " in capsys.readouterr().out
    for split in ("train", "test"):
        (folder / split / "label13").rename(folder / split / "segmentation")
    for file in (folder / "test" / "segmentation").iterdir():
        save(file, np.zeros(SIZE, "uint8"))
    assert run("inspect", folder, "--out", tmp_path / "b.png") == 0
    assert "1 classes" in capsys.readouterr().out


def test_a_missing_library_is_no_fault(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert run("verify", folder) == 2
    assert "needs Pillow" in capsys.readouterr().err


def test_inspect_looks_at_as_many_as_it_is_told(capsys, tmp_path):
    assert run("inspect", "rooms", "--num-samples", 3, "--out", tmp_path / "a.png") == 0
    text = capsys.readouterr().out
    assert "train: 256 samples of 96 x 128 pixels; the numbers are from 3 of them" in text


def test_verify_finds_nothing_wrong(folder, capsys):
    assert run("verify", folder) == 0
    assert capsys.readouterr().out.splitlines() == [
        "train: 5 samples; segmentation 5, depth 4, normal 5",
        "test: 3 samples; segmentation 3, depth 2, normal 3",
        "No faults.",
    ]


def test_verify_lists_every_fault(folder, capsys):
    train, test = folder / "train", folder / "test"
    (train / "image" / "0.png").write_bytes(b"")
    (train / "depth" / "1.png").write_bytes((train / "depth" / "1.png").read_bytes()[:60])
    save(train / "normal" / "2.png", np.zeros((5, 5, 3), "uint8"))
    save(train / "label13" / "3.png", np.full(SIZE, 77, "uint8"))
    save(train / "depth" / "stray.png", np.ones(SIZE, "uint16"))
    save(train / "depth" / "other.png", np.ones(SIZE, "uint16"))
    Image.open(test / "image" / "0.png").save(test / "image" / "0.jpg", quality=95)
    (test / "image" / "2.png").write_bytes((train / "image" / "4.png").read_bytes())
    assert run("verify", folder) == 1
    *faults, first, second, total = capsys.readouterr().out.splitlines()
    expected = [
        r"picture of the same name.*depth.other\.png",
        r"picture of the same name.*depth.stray\.png",
        r"'image' .*zero bytes.*train.image.0\.png",
        r"'depth' .*cut short.*train.depth.1\.png",
        r"'normal' .*as large as its picture.*train.normal.2\.png",
        r"'segmentation' .*class 77 in .*train.label13.3\.png",
        r"name must occur once.*test.image.0\.jpg.*test.image.0\.png",
        r"picture occurs twice: .*train.image.4\.png.*'train' and .*test.image.2\.png.*'test'",
    ]
    assert len(faults) == len(expected)
    for fault, pattern in zip(faults, expected, strict=True):
        assert re.search(pattern, fault)
    assert first.startswith("train: 5 samples; segmentation 1,")
    assert second.startswith("test: 3 samples;") and total == "8 faults."


def test_verify_goes_on_after_a_split_that_cannot_be_opened(folder, capsys):
    for file in (folder / "train" / "normal").iterdir():
        file.unlink()
    (folder / "train" / "normal").rmdir()
    assert run("verify", folder) == 1
    text = capsys.readouterr().out
    assert "The folder of task 'normal' is missing" in text
    assert "train: 0 samples; no targets\ntest: 3 samples" in text and "1 fault.\n" in text


def test_verify_counts_classes_despite_faults(folder, capsys):
    (folder / "dataset.json").unlink()
    for split in ("train", "test"):
        (folder / split / "label13").rename(folder / split / "segmentation")
    for name in ("1.png", "2.png"):
        (folder / "train" / "segmentation" / name).write_bytes(b"no picture")
    assert run("verify", folder) == 1
    text = capsys.readouterr().out
    assert text.count("cannot be decoded") == 2 and "2 faults." in text


def test_prepare_and_read(folder, tmp_path, capsys):
    out = tmp_path / "fast"
    assert run("prepare", folder, "--out", out, "--image-size", 12, 16, "--verbose", 0) == 0
    text = capsys.readouterr().out
    assert "train: 5 samples of 12 x 16 pixels\ntest: 3 samples of 12 x 16 pixels\n" in text
    source = Prepared(out, "test")
    assert set(source[0]) == {"image", "segmentation", "normal"} and "depth" in source[1]
    assert run("verify", out) == 0
    assert "test: 3 samples; segmentation 3, depth 2, normal 3" in capsys.readouterr().out
    assert run("prepare", folder, "--out", out, "--image-size", 24, 32) == 2
    assert "'image_size' was [12, 16]" in capsys.readouterr().err
    assert run("prepare", folder, "--out", folder) == 2
    assert "which holds" in capsys.readouterr().err


def test_rooms_are_drawn_at_the_size_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(Rooms, "__len__", lambda self: 2)
    arguments = ("--splits", "test", "--tasks", "depth", "--image-size", 8, 12)
    assert run("prepare", "rooms", *arguments, "--out", tmp_path / "fast") == 0
    expected = Rooms(2, (8, 12), "test")[1]["depth"]
    np.testing.assert_array_equal(Prepared(tmp_path / "fast", "test")[1]["depth"], expected)


def test_errors_of_the_user(folder, tmp_path, capsys):
    assert run("inspect", tmp_path / "nowhere") == 2
    assert "no such data" in capsys.readouterr().err
    assert run("inspect", folder, "--splits", "val") == 2
    assert "split='val'" in capsys.readouterr().err
    assert run("verify", folder, "--num-classes", 40) == 2
    assert "`--num-classes` is for nyu_depth_v2_labeled.mat" in capsys.readouterr().err
