import re

import numpy as np
import pytest

from keras_atinet.data import Rooms

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.backend_free
SIZE = (24, 32)


def test_inspect_prints_and_draws(run, folder, tmp_path, capsys):
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


def test_inspect_goes_on_after_faults(run, save, folder, tmp_path, capsys, monkeypatch):
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


def test_a_folder_without_a_name(run, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert run("inspect", ".", "--splits", "test") == 0
    assert (folder / "some rooms-samples.png").exists()


def test_inspect_guesses_what_is_not_stated(run, save, folder, tmp_path, capsys):
    """Classes are called the same in the text and in the picture; splits may have fewer."""
    (folder / "dataset.json").unlink()
    assert run("inspect", folder, "--out", tmp_path / "a.png") == 0
    assert "wall " in capsys.readouterr().out
    for split in ("train", "test"):
        (folder / split / "label13").rename(folder / split / "segmentation")
    for file in (folder / "test" / "segmentation").iterdir():
        save(file, np.zeros(SIZE, "uint8"))
    assert run("inspect", folder, "--out", tmp_path / "b.png") == 0
    assert "2 classes" in capsys.readouterr().out


def test_inspect_looks_at_as_many_as_it_is_told(run, capsys, tmp_path):
    assert run("inspect", "rooms", "--num-samples", 3, "--out", tmp_path / "a.png") == 0
    text = capsys.readouterr().out
    assert "train: 256 samples of 96 x 128 pixels; the numbers are from 3 of them" in text


def test_errors_of_the_user(run, folder, tmp_path, capsys):
    assert run("inspect", tmp_path / "nowhere") == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert run("inspect", folder, "--splits", "val") == 2
    assert "split='val'" in capsys.readouterr().err
