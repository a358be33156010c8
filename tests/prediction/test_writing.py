"""The files of a prediction."""

import numpy as np
import pytest

from keras_atinet import DepthEstimation, SemanticSegmentation, SurfaceNormals
from keras_atinet.prediction import writing
from keras_atinet.prediction.writing import file_names, write_predictions

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.backend_free

RNG = np.random.default_rng(0)


def test_files_hold_the_maps(tmp_path, monkeypatch):
    tasks = [SemanticSegmentation(300, name="kind"), DepthEstimation(), SurfaceNormals()]
    image = RNG.integers(0, 256, (5, 7, 3)).astype("uint8")
    normal = RNG.normal(size=(5, 7, 3)).astype("float32")
    maps = {
        "kind": RNG.integers(0, 300, (5, 7)).astype("int32"),
        "depth": 80 * RNG.random((5, 7, 1), "float32"),
        "normal": normal / np.linalg.norm(normal, axis=-1, keepdims=True),
    }
    monkeypatch.setattr(writing, "can_draw", lambda: False)
    notes = write_predictions(tmp_path, "a", image, maps, tasks)
    assert len(notes) == 1 and "a_depth_mm.png ends at 65.535 m" in notes[0]
    assert {f"a{end}" for end in file_names(tasks)} == {path.name for path in tmp_path.iterdir()}
    arrays = np.load(tmp_path / "a.npz")
    assert list(arrays) == list(maps)
    for name, bound in {"kind": 0, "depth": 1 / 2048, "normal": 1 / 512}.items():
        assert arrays[name].dtype == maps[name].dtype
        np.testing.assert_allclose(arrays[name], maps[name], atol=bound * 1.01, rtol=0)
    classes = np.asarray(Image.open(tmp_path / "a_kind_classes.png"))
    assert classes.dtype == np.uint16
    np.testing.assert_array_equal(classes, maps["kind"])
    millimetres = np.asarray(Image.open(tmp_path / "a_depth_mm.png"))
    expected = np.minimum(1000 * maps["depth"][..., 0], 65535)
    np.testing.assert_allclose(millimetres, expected, atol=0.51)
    assert Image.open(tmp_path / "a_kind_overlay.jpg").size == (7, 5)
    colors = np.asarray(Image.open(tmp_path / "a_normal.png"))
    np.testing.assert_array_equal(colors, tasks[2].colorize(maps["normal"]))


def test_what_is_too_long_for_jpeg_is_left_out_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_LONGEST_JPEG", 6)
    image, maps = np.zeros((2, 7, 3), "uint8"), {"segmentation": np.zeros((2, 7), "int32")}
    notes = write_predictions(tmp_path, "a", image, maps, [SemanticSegmentation()])
    assert "a_segmentation_overlay.jpg is left out" in notes[0]
    assert not list(tmp_path.glob("*.jpg"))
    # Numbers of up to 256 classes fit into 8 bits.
    assert Image.open(tmp_path / "a_segmentation_classes.png").mode == "L"
