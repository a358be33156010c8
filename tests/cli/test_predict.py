from pathlib import Path

import numpy as np
import pytest

from keras_atinet.cli.predict import read_image, unique_names

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.backend_free


def test_photos_are_turned_upright(tmp_path):
    pixels = np.zeros((4, 8, 3), "uint8")
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    upright = read_image(tmp_path / "turned.png")
    assert upright.shape == (8, 4, 3)
    assert upright[:4].min() == 1 and upright[4:].max() == 0


def test_other_files_are_refused(tmp_path):
    (tmp_path / "file.txt").write_text("no picture")
    with pytest.raises(ValueError, match=r"cannot be read.*file\.txt"):
        read_image(tmp_path / "file.txt")


def test_names_are_unique_whatever_their_case():
    paths = [Path("a.png"), Path("A.jpg"), Path("b") / "a.gif", Path("b.png")]
    assert unique_names(paths) == ["a", "A-2", "a-3", "b"]
