import json
import os
import re
import sys

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.backend_free
SIZE = (24, 32)


def test_a_missing_library_is_no_fault(run, folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert run("verify", folder) == 2
    assert "needs Pillow" in capsys.readouterr().err


def test_verify_finds_nothing_wrong(run, folder, capsys):
    assert run("verify", folder) == 0
    assert capsys.readouterr().out.splitlines() == [
        "train: 5 samples; segmentation 5, depth 4, normal 5",
        "  segmentation, ignored pixels: 960 of label 255 (25.0 %)",
        "test: 3 samples; segmentation 3, depth 2, normal 3",
        "  segmentation, ignored pixels: 576 of label 255 (25.0 %)",
        "No faults.",
    ]


def test_control_characters_in_names_do_not_reach_the_terminal(run, folder, capsys):
    (folder / "train" / "depth" / "\x1b[31m.png").write_bytes(b"")
    assert run("verify", folder) == 1
    shown = capsys.readouterr().out
    assert "\\x1b[31m.png" in shown and "\x1b" not in shown


def test_verify_lists_every_fault(run, save, folder, capsys):
    train, test = folder / "train", folder / "test"
    (train / "image" / "0.png").write_bytes(b"")
    (train / "depth" / "1.png").write_bytes((train / "depth" / "1.png").read_bytes()[:60])
    save(train / "normal" / "2.png", np.zeros((5, 5, 3), "uint8"))
    save(train / "label13" / "3.png", np.full(SIZE, 77, "uint8"))
    save(train / "depth" / "stray.png", np.ones(SIZE, "uint16"))
    save(train / "depth" / "other.png", np.ones(SIZE, "uint16"))
    (train / "normal" / "3.png").write_bytes(b"no picture")
    Image.open(test / "image" / "0.png").save(test / "image" / "0.jpg", quality=95)
    (test / "image" / "2.png").write_bytes((train / "image" / "4.png").read_bytes())
    assert run("verify", folder) == 1
    *faults, first, ignored, second, _, total = capsys.readouterr().out.splitlines()
    expected = [
        r"picture of the same name.*depth.other\.png",
        r"picture of the same name.*depth.stray\.png",
        r"'image' .*zero bytes.*train.image.0\.png",
        r"'depth' .*cut short.*train.depth.1\.png",
        r"'normal' .*as large as its picture.*train.normal.2\.png",
        r"'segmentation' .*class 77 in .*train.label13.3\.png",
        r"'normal' .*cannot be decoded.*train.normal.3\.png",
        r"name must occur once.*test.image.0\.jpg.*test.image.0\.png",
        r"picture occurs twice: .*train.image.4\.png.*'train' and .*test.image.2\.png.*'test'",
    ]
    assert len(faults) == len(expected)
    for fault, pattern in zip(faults, expected, strict=True):
        assert re.search(pattern, fault)
    # A sample counts with the targets that can be read.
    assert first == "train: 5 samples; segmentation 4, depth 3, normal 3"
    assert ignored == "  segmentation, ignored pixels: 768 of label 255 (25.0 %)"
    assert second.startswith("test: 3 samples;") and total == "9 faults."


def test_verify_goes_on_after_a_split_that_cannot_be_opened(run, folder, capsys):
    for file in (folder / "train" / "normal").iterdir():
        file.unlink()
    (folder / "train" / "normal").rmdir()
    assert run("verify", folder) == 1
    text = capsys.readouterr().out
    assert "The folder of task 'normal' is missing" in text
    assert "train: 0 samples; no targets\ntest: 3 samples" in text and "1 fault.\n" in text


def test_verify_counts_classes_despite_faults(run, folder, capsys):
    (folder / "dataset.json").unlink()
    for split in ("train", "test"):
        (folder / split / "label13").rename(folder / split / "segmentation")
    for name in ("1.png", "2.png"):
        (folder / "train" / "segmentation" / name).write_bytes(b"no picture")
    assert run("verify", folder) == 1
    text = capsys.readouterr().out
    assert text.count("cannot be decoded") == 2 and "2 faults." in text


def test_verify_tells_the_labels_that_are_ignored(run, save, tmp_path, capsys):
    """255 is a class of 300; of a mask, what `values` maps to null is ignored."""
    rng = np.random.default_rng(0)
    for index in range(2):
        image = rng.integers(0, 256, (*SIZE, 3)).astype("uint8")
        save(tmp_path / "image" / f"{index}.png", image)
        labels = np.resize(np.arange(300, dtype="uint16"), SIZE)
        save(tmp_path / "label300" / f"{index}.png", labels)
        save(tmp_path / "mask" / f"{index}.png", np.resize(np.uint8([0, 255, 7, 7]), SIZE))
    assert run("verify", tmp_path) == 0
    assert "  segmentation, ignored pixels: none\n" in capsys.readouterr().out
    values = {"0": 0, "255": 1, "7": None}
    tasks = {"mask": {"kind": "segmentation", "values": values}}
    tasks["segmentation300"] = {"folder": "label300", "num_classes": 300, "ignore_class": 299}
    (tmp_path / "dataset.json").write_text(json.dumps({"tasks": tasks}))
    assert run("verify", tmp_path, "--tasks", "mask", "segmentation300") == 0
    text = capsys.readouterr().out
    assert "  mask, ignored pixels: 768 of label 7 (50.0 %)\n" in text
    assert "  segmentation300, ignored pixels: 4 of label 299 (0.3 %)\n" in text


def test_what_is_not_read_is_told(run, folder, save, capsys):
    for split in ("train", "test"):
        for file in list((folder / split / "label13").iterdir()):
            save(folder / split / "edges" / file.name, np.uint8(np.asarray(Image.open(file)) > 6))
    description = json.loads((folder / "dataset.json").read_text())
    description["tasks"]["edges"] = {"kind": "segmentation"}
    (folder / "dataset.json").write_text(json.dumps(description))
    note = "Note: also described, not read: edges (--tasks)\n"
    assert run("verify", folder) == 0
    assert capsys.readouterr().out.count(note) == 1
    assert run("prepare", folder, "--out", folder.parent / "fast") == 0
    assert capsys.readouterr().out.count(note) == 1
    assert run("inspect", folder, "--out", folder.parent / "samples.png") == 0
    assert capsys.readouterr().out.count(note) == 1
    assert run("verify", folder, "--tasks", "edges") == 0
    text = capsys.readouterr().out
    assert "train: 5 samples; edges 5\n" in text and "not read" not in text
    assert "edges: 2 classes, one more than the largest label" in text


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_text(run, folder, capsys):
    """As an archive from an old system has them."""
    os.rename(
        folder / "train" / "depth" / "1.png", bytes(folder / "train" / "depth") + b"/\xfc.png"
    )
    assert run("verify", folder) == 1
    assert r"depth/\udcfc.png" in capsys.readouterr().out


def test_verify_tells_that_masks_need_a_mapping(run, folder, save, capsys):
    (folder / "dataset.json").unlink()
    for split in ("train", "test"):
        for file in (folder / split / "label13").iterdir():
            save(file, 255 * np.eye(*SIZE, dtype="uint8"))
        (folder / split / "label13").rename(folder / split / "labels")
    assert run("verify", folder) == 1
    text = capsys.readouterr().out
    assert '{"folder": "labels", "values": {"0": 0, "255": 1}}' in text and "2 faults." in text
    assert run("inspect", folder) == 2
    assert '"values": {"0": 0, "255": 1}' in capsys.readouterr().err


def test_options_of_other_data_are_refused(run, folder, capsys):
    assert run("verify", folder, "--num-classes", 40) == 2
    assert "`--num-classes` is for nyu_depth_v2_labeled.mat" in capsys.readouterr().err


def test_verify_names_pictures_that_may_be_turned(run, save, tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "image").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 3
    for index in range(22):
        image = Image.fromarray(rng.integers(0, 256, (*SIZE, 3)).astype("uint8"))
        image.save(tmp_path / "image" / f"{index:02d}.png", exif=exif)
        save(tmp_path / "depth" / f"{index:02d}.png", np.ones(SIZE, "uint16"))
    assert run("verify", tmp_path) == 0
    text = capsys.readouterr().out
    assert '"exif_orientation": "apply"' in text and "  and 2 more\nall: 22 samples" in text
    assert text.count(".png\n") == 20 and f"  {tmp_path / 'image' / '19.png'}\n" in text
    (tmp_path / "dataset.json").write_text('{"exif_orientation": "ignore"}')
    assert run("verify", tmp_path) == 0
    assert "turned" not in capsys.readouterr().out
