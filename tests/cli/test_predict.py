import argparse
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_atinet import DepthEstimation, Predictor, SurfaceNormals
from keras_atinet.cli import demo, predict
from keras_atinet.cli.paths import check_paths
from keras_atinet.cli.predict import find_pictures, unique_names
from keras_atinet.prediction import writing
from keras_atinet.prediction.video import Video

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


def test_patterns_and_doubles(tmp_path):
    for name in ("a.png", "b.jpg", "c[1].png", "out/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    places = [tmp_path / "**" / "*.png", tmp_path / "c[1].png", tmp_path, tmp_path / "a.png"]
    found = find_pictures(map(str, places), tmp_path / "out")
    assert [path.name for path in found] == ["a.png", "c[1].png", "b.jpg"]
    check_paths(argparse.Namespace(images=list(map(str, places))), ["images"])
    nothing = str(tmp_path / "*.gif")
    for check in (
        lambda: find_pictures([nothing], tmp_path / "out"),
        lambda: check_paths(argparse.Namespace(images=[nothing]), ["images"]),
    ):
        with pytest.raises(FileNotFoundError, match="No file fits the pattern"):
            check()


class Brightness(Predictor):
    """A predictor whose depth is the brightness of the image."""

    tasks = (DepthEstimation(),)

    def __init__(self, model):
        self.batches, self.batch_size, self._networks = [], 8, self

    def size_for(self, height, width):
        return 32, 32

    def at(self, size):
        return self

    def predict_on_batch(self, images):
        self.batches.append(len(images))
        return {"depth": images.mean(axis=-1, keepdims=True)}


def test_a_folder_is_predicted_but_for_what_is_damaged(run_cli, tmp_path, monkeypatch, capsys):
    predictor = Brightness(None)
    monkeypatch.setattr(predict, "Predictor", lambda place: predictor)
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    for index in range(10):
        Image.fromarray(np.full((20, 30), 20 * index, "uint8")).save(pictures / f"{index}.png")
    Image.fromarray(np.full((20, 30), 65535, "uint16")).save(pictures / "3.tif")
    (pictures / "5.png").write_bytes((pictures / "5.png").read_bytes()[:50])
    (pictures / "\x1b[31m.png").write_bytes(b"damaged")
    monkeypatch.setattr(predict, "file_names", lambda *arguments: [".npz", "_depth.png"])
    monkeypatch.setattr(predict, "can_draw", lambda: False)
    monkeypatch.setattr(writing, "can_draw", lambda: False)
    assert run_cli("predict", pictures, "--model", tmp_path, "--out", out) == 1
    shown = capsys.readouterr()
    *lines, last = shown.out.splitlines()
    assert lines == [
        f"Model: {tmp_path}",
        "12 pictures",
        f"{pictures / '3.tif'}: NAME is 3-2",
        "Without matplotlib nothing is put side by side: `pip install matplotlib`",
    ]
    assert re.fullmatch(
        rf"10 predicted, [\d.e+]+ pictures/s, in {re.escape(str(out))}: NAME.npz, NAME_depth.png",
        last,
    )
    assert shown.err.count("error: ") == 2 and str(pictures / "5.png") in shown.err
    assert "\\x1b[31m.png" in shown.err and "\x1b" not in shown.err
    if keras.backend.backend() != "jax":  # there they come one by one
        assert predictor.batches == [8, 2]
    expected = {str(index): 20 * index for index in range(10) if index != 5} | {"3-2": 255}
    ends = (".npz", "_depth.png", "_depth_mm.png")
    assert {path.name for path in out.iterdir()} == {
        f"{name}{end}" for name in expected for end in ends
    }
    for name, brightness in expected.items():
        depth = np.load(out / f"{name}.npz")["depth"]
        np.testing.assert_allclose(depth, np.full((20, 30, 1), brightness / 255), atol=1e-3)
        assert Image.open(out / f"{name}_depth.png").size == (30, 20)


def test_point_clouds(run_cli, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predict, "Predictor", Brightness)
    monkeypatch.setattr(writing, "can_draw", lambda: False)
    picture = Image.fromarray(np.full((12, 16, 3), 128, "uint8"))
    picture.save(tmp_path / "a.png")
    exif = picture.getexif()
    exif.get_ifd(0x8769)[0xA405] = 28
    picture.save(tmp_path / "b.jpg", exif=exif)
    arguments = ["predict", tmp_path, "--point-cloud", "--out", tmp_path / "out"]
    assert run_cli(*arguments) == 0
    shown = capsys.readouterr().out
    assert "Field of view: 60 degrees, a guess; `--fov` gives another" in shown
    assert "Field of view: 63.4 degrees, by its EXIF data" in shown and "NAME.ply" in shown
    assert run_cli(*arguments, "--fov", "90") == 0
    assert "Field of view" not in capsys.readouterr().out
    clouds = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.ply")}
    assert {"a.ply", "b.ply"} == set(clouds)
    assert all(b"element vertex 192" in cloud for cloud in clouds.values())
    monkeypatch.setattr(Brightness, "tasks", (SurfaceNormals(),))
    assert run_cli(*arguments) == 2
    assert "needs a model that predicts depth" in capsys.readouterr().err


def test_a_video(run_cli, tmp_path, monkeypatch, capsys):
    place, out = tmp_path / "tour.of.rooms.mov", tmp_path / "out"
    place.touch()
    monkeypatch.setattr(predict, "Predictor", Brightness)
    monkeypatch.setattr(predict, "open_video", lambda place: Video(Path(place), 10, 0.4))

    def predict_video(predictor, video, path, on_frame):
        for count in range(1, 4):
            on_frame(count)
        assert path == out / "tour.of.rooms_all.mp4"
        return 3

    monkeypatch.setattr(predict, "predict_video", predict_video)
    assert run_cli("predict", "--video", place, "--out", out, "--verbose") == 0
    *_, bar, last = capsys.readouterr().out.splitlines()
    assert "3/4" in bar and re.match(r"3 frames predicted, .* frames/s: .*rooms_all.mp4$", last)


def test_what_would_predict_nothing(run_cli, tmp_path, capsys):
    (tmp_path / "a.mp4").touch()
    for arguments, message in (
        ([], "Nothing to predict"),
        (["--video", tmp_path / "a.mp4", "--point-cloud"], "`--point-cloud` is for pictures"),
        ([tmp_path / "a.mp4", "--fov", 60], "Add `--point-cloud`"),
        (["--video", tmp_path / "b.mp4"], "There is no such file"),
    ):
        assert run_cli("predict", "--out", tmp_path / "out", *arguments) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_cli("predict", tmp_path, "--point-cloud", "--fov", 180)
    assert "degrees above 0, below 180. Received: 180" in capsys.readouterr().err


def test_demo(run_cli, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "Predictor", Brightness)
    monkeypatch.setattr(demo, "example_room", lambda: np.zeros((4, 6, 3), "uint8"))
    assert run_cli("demo", "--out", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Model: split_efficientnet_lite2_nyuv2 (Split on EfficientNet-Lite2")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"room.png", "room.npz", "room_depth.png"} <= names
    assert all(name in shown for name in names)
