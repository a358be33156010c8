from pathlib import Path

import numpy as np
import pytest

from keras_atinet import DepthEstimation, runs
from keras_atinet.cli.predict import find_pictures, unique_names

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.backend_free


def test_names_are_unique_whatever_their_case():
    paths = [Path("a.png"), Path("A.jpg"), Path("b") / "a.gif", Path("b.png")]
    assert unique_names(paths) == ["a", "A-2", "a-3", "b"]


def test_pictures_are_found_in_folders(tmp_path):
    folder = tmp_path / "data" / "test" / "image"
    folder.mkdir(parents=True)
    for name in ("b.png", "a.JPG", "c.tif", "notes.txt", ".hidden.png"):
        (folder / name).touch()
    (folder / "folder.png").mkdir()
    found = find_pictures([folder / "notes.txt", folder], tmp_path)
    assert [path.name for path in found] == ["notes.txt", "a.JPG", "b.png", "c.tif"]
    with pytest.raises(FileNotFoundError, match=r"none\.jpg"):
        find_pictures([tmp_path / "none.jpg"], tmp_path)
    for place in (tmp_path / "data", folder.parent):
        with pytest.raises(FileNotFoundError, match=r"has none. There are some in: .*test.image\."):
            find_pictures([place], tmp_path)
    with pytest.raises(FileNotFoundError, match="Choose another folder"):
        find_pictures([folder / "folder.png"], tmp_path)
    with pytest.raises(ValueError, match="among the pictures"):
        find_pictures([folder], folder / ".." / "image")


class Brightness:
    """A model whose depth is the brightness of the image."""

    input_shape, tasks = (None, 32, 32, 3), [DepthEstimation()]

    def __init__(self):
        self.batches = []

    def predict(self, images, verbose):
        self.batches.append(len(images))
        return {"depth": images.mean(axis=-1, keepdims=True)}


def test_a_folder_is_predicted_but_for_what_is_damaged(run_cli, tmp_path, monkeypatch, capsys):
    model = Brightness()
    monkeypatch.setattr(runs, "find_model", lambda place: (place, None))
    monkeypatch.setattr(runs, "load_model", lambda place: model)
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    for index in range(10):
        Image.fromarray(np.full((20, 30), 20 * index, "uint8")).save(pictures / f"{index}.png")
    Image.fromarray(np.full((20, 30), 65535, "uint16")).save(pictures / "3.tif")
    (pictures / "5.png").write_bytes((pictures / "5.png").read_bytes()[:50])
    (pictures / "\x1b[31m.png").write_bytes(b"damaged")
    assert run_cli("predict", pictures, "--model", tmp_path, "--out", out) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "12 pictures",
        f"{pictures / '3.tif'}: NAME is 3-2",
        f"10 predicted, in {out}: NAME.npz, NAME_depth.png",
    ]
    assert shown.err.count("error: ") == 2 and str(pictures / "5.png") in shown.err
    assert "\\x1b[31m.png" in shown.err and "\x1b" not in shown.err
    assert model.batches == [8, 2]
    expected = {str(index): 20 * index for index in range(10) if index != 5} | {"3-2": 255}
    assert {path.name for path in out.iterdir()} == {
        f"{name}{end}" for name in expected for end in (".npz", "_depth.png")
    }
    for name, brightness in expected.items():
        depth = np.load(out / f"{name}.npz")["depth"]
        np.testing.assert_allclose(depth, np.full((32, 32, 1), brightness / 255), atol=1e-6)
        assert Image.open(out / f"{name}_depth.png").size == (30, 20)
