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
        "test: 3 samples; segmentation 3, depth 2, normal 3",
        "No faults.",
    ]


def test_verify_lists_every_fault(run, save, folder, capsys):
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


def test_options_of_other_data_are_refused(run, folder, capsys):
    assert run("verify", folder, "--num-classes", 40) == 2
    assert "`--num-classes` is for nyu_depth_v2_labeled.mat" in capsys.readouterr().err
