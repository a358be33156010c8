import sys
from types import SimpleNamespace

import numpy as np
import pytest

from keras_atinet import DepthEstimation, SemanticSegmentation, SurfaceNormals
from keras_atinet.prediction import video as video_module
from keras_atinet.prediction.video import draw_frames, open_video, predict_video

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.backend_free


class Brightness:
    """A predictor whose depth is the brightness of the image."""

    tasks = (SemanticSegmentation(30), DepthEstimation(), SurfaceNormals())
    model = SimpleNamespace(input_shape=(None, 32, 32, 3))

    def predict(self, images):
        for image in images:
            depth = image.mean(axis=-1, keepdims=True).astype("float32") / 50
            classes = np.full(image.shape[:2], 7, "int32")
            yield {
                "segmentation": classes,
                "depth": depth,
                "normal": np.tile(np.float32([0, 0, -1]), (*image.shape[:2], 1)),
            }


class Frames:
    """A video that gets brighter; of its seconds, those between 1 and 2 cannot be sought."""

    def __init__(self, duration, num_frames=4):
        self.duration, self.num_frames, self.size = duration, num_frames, (33, 49)

    def frames(self, longest, seconds=0, count=None):
        if 1 <= seconds < 2:
            return
        for index in range(count or self.num_frames):
            yield np.full((*self.size, 3), 50 + 10 * (index + seconds), "uint8")


@pytest.mark.parametrize("duration", [4, 0])
def test_frames_beside_their_predictions(duration):
    video = Frames(duration)
    panels = list(draw_frames(Brightness(), video))
    assert len(panels) == 4
    shape = panels[0].shape
    assert shape[0] % 2 == shape[1] % 2 == 0 and {panel.shape for panel in panels} == {shape}
    changed = (panels[0] != panels[-1]).any(axis=-1)
    # The frame and its depth change, each about 480 x 323; nothing else does.
    assert changed.sum() == pytest.approx(2 * 480 * 323, rel=0.02)
    # Last come pixels of the depth, which would all look the same in a range of one frame.
    assert len({tuple(panel[changed][-1]) for panel in panels}) == 4


def test_a_video_is_written(tmp_path, monkeypatch):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    monkeypatch.setattr(video_module, "_SAMPLES", 2)
    place = tmp_path / "a video: 1%.mp4"
    writer = imageio_ffmpeg.write_frames(str(place), (64, 32), fps=12.5, macro_block_size=1)
    writer.send(None)
    for index in range(5):
        writer.send(np.full((32, 64, 3), 40 * index + 40, "uint8"))
    writer.close()
    video = open_video(place)
    assert video.fps == 12.5 and video.num_frames == 5
    frames = list(video.frames(48))
    assert [frame.shape for frame in frames] == [(24, 48, 3)] * 5
    assert [frame.mean() for frame in frames] == pytest.approx([40, 80, 120, 160, 200], abs=4)
    assert next(video.frames(48, 0.2)).mean() == pytest.approx(160, abs=4)
    done = []
    out = tmp_path / "out" / "all.mp4"
    assert predict_video(Brightness(), video, out, done.append) == 5
    assert done == [1, 2, 3, 4, 5] and [path.name for path in out.parent.iterdir()] == ["all.mp4"]
    written = open_video(out)
    assert written.fps == 12.5 and len(list(written.frames(100))) == 5

    def interrupt(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_video(Brightness(), video, tmp_path / "out" / "new.mp4", interrupt)
    assert [path.name for path in out.parent.iterdir()] == ["all.mp4"]
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(place.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"cannot be decoded.*damaged\.mp4' \(") as error:
        open_video(damaged)
    assert "\n" not in str(error.value)


def test_what_is_missing(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        open_video(tmp_path / "none.mp4")
    (tmp_path / "some.mp4").touch()
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ImportError, match=r"keras-atinet\[video\]"):
        open_video(tmp_path / "some.mp4")
