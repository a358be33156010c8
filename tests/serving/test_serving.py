"""What the page is made of."""

import re

import numpy as np
import pytest

from keras_atinet import DepthEstimation, SemanticSegmentation, SurfaceNormals
from keras_atinet.serving.keys import key
from keras_atinet.serving.photo import LONGEST_SIDE, read_photo

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.backend_free


def test_photographs_are_bounded_before_they_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "wide.png"
    Image.new("RGB", (LONGEST_SIDE * 2, 10), (9, 8, 7)).save(path)
    photo = read_photo(path, 1)
    assert photo.shape == (5, LONGEST_SIDE, 3) and (photo == (9, 8, 7)).all()
    monkeypatch.setattr(Image.Image, "load", lambda *args: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"than 0\.01 megapixels\. Received: 'wide\.png'"):
        read_photo(path, 0.01)


def test_photographs_are_of_few_formats(tmp_path):
    picture = Image.new("RGB", (4, 4))
    for suffix in ("eps", "ppm"):
        picture.save(tmp_path / f"a.{suffix}")
        (tmp_path / f"a.{suffix}").rename(tmp_path / "a.png")
        with pytest.raises(ValueError, match=r"not a picture.*Received: 'a\.png'"):
            read_photo(tmp_path / "a.png", 1)
    picture.save(tmp_path / "cut.bmp")
    (tmp_path / "cut.bmp").write_bytes((tmp_path / "cut.bmp").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"cut short\. Received: 'cut\.bmp'"):
        read_photo(tmp_path / "cut.bmp", 1)


def test_keys_say_what_colours_mean():
    task = SemanticSegmentation(3, class_names=["<wall>", "floor", "lamp"])
    classes = np.zeros((20, 10), "int32")
    classes[0, 0] = 2
    shown = key(task, classes)
    assert re.findall(r"</i>([^<]+)", shown) == ["&lt;wall&gt; 100 %", "lamp &lt; 1 %"]
    assert f"rgb({' '.join(map(str, task.class_colors[2]))})" in shown
    depth = np.linspace(1, 3, 100, dtype="float32").reshape(10, 10, 1)
    ticks = re.findall(r"<span>([^<]+)", key(DepthEstimation(), depth))
    assert ticks == ["1.0 m", "1.5 m", "2.0 m", "2.5 m", "3.0 m"]
    narrow = re.findall(r"<span>([^<]+)", key(DepthEstimation(), 1 + depth / 1e4))
    assert len(set(narrow)) == 5
    assert "facing camera" in key(SurfaceNormals(), np.zeros((2, 2, 3), "float32"))
