import numpy as np
import pytest

from keras_atinet.data import Rooms
from keras_atinet.data.preparation.prepared import Prepared

pytestmark = pytest.mark.backend_free


def test_prepare_and_read(run, folder, tmp_path, capsys):
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


def test_rooms_are_drawn_at_the_size_that_is_asked_for(run, tmp_path, monkeypatch):
    monkeypatch.setattr(Rooms, "__len__", lambda self: 2)
    arguments = ("--splits", "test", "--tasks", "depth", "--image-size", 8, 12)
    assert run("prepare", "rooms", *arguments, "--out", tmp_path / "fast") == 0
    expected = Rooms(2, (8, 12), "test")[1]["depth"]
    np.testing.assert_array_equal(Prepared(tmp_path / "fast", "test")[1]["depth"], expected)
