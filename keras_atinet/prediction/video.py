"""Predictions for the frames of a video."""

import contextlib
import itertools
import logging
import os
import pathlib
from typing import NamedTuple

import numpy as np

from keras_atinet import files
from keras_atinet.prediction.panel import CELL, MAX_CLASSES, Panel
from keras_atinet.prediction.pictures import class_shares, color

_SAMPLES = 8
# Pixels become square, and the longest side has so many at most.
_SCALE = (
    "scale=iw*sar:ih,scale=w='min({0},iw)':h='min({0},ih)':force_original_aspect_ratio=decrease"
)


class Video(NamedTuple):
    """What is known of a video before all of it is read.

    Attributes:
        path: `pathlib.Path`.
        fps: float, frames per second.
        duration: float, seconds; 0 where the file does not say.
    """

    path: pathlib.Path
    fps: float
    duration: float

    @property
    def num_frames(self):
        """About how many frames it has; None where the file does not say."""
        return max(1, round(self.duration * self.fps)) if self.duration else None

    def frames(self, longest, seconds=0, count=None):
        """Reads frames, upright, at the video's rate where the file has one that varies.

        Args:
            longest: int, the pixels of the longest side; frames are not enlarged.
            seconds: float, where to begin.
            count: optional int, of frames.

        Yields:
            uint8 array `(height, width, 3)`.

        Raises:
            ValueError: if the video is damaged where it is read.
        """
        options = ["-vf", _SCALE.format(longest), "-r", str(self.fps)]
        options += [] if count is None else ["-frames:v", str(count)]
        start = ["-ss", f"{seconds:.3f}"] if seconds else []
        facts, frames = _read(self.path, start, options)
        width, height = facts["size"]
        for frame in frames:
            yield np.frombuffer(frame, "uint8").reshape(height, width, 3)


def open_video(path):
    """Looks at a video.

    Args:
        path: str or path of a video of any kind that FFmpeg reads.

    Returns:
        `Video`.

    Raises:
        ImportError: if imageio-ffmpeg is not installed.
        ValueError: if it is damaged, no video, or has no rate of frames.
    """
    path = pathlib.Path(path)
    facts, frames = _read(path, [], ["-frames:v", "1"])
    if not any(True for _ in frames):
        raise _damaged(path, "it has no frame")
    if not facts["fps"]:
        raise _damaged(path, "it has no rate of frames")
    return Video(path, facts["fps"], facts["duration"])


def predict_video(predictor, video, path, on_frame=None):
    """Writes a video that shows each frame beside what is predicted for it, without the sound.

    Colours of depth span the same range in the whole video, that of eight frames spread over it.
    Each frame is predicted by itself. One batch of frames is in memory.

    Args:
        predictor: `Predictor`.
        video: `Video`, from `open_video`.
        path: str or path of the `.mp4` file to write, H.264 at the rate of the video's frames.
        on_frame: optional function of the number of frames that are done.

    Returns:
        int, the number of frames.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if the video is damaged.
        files.WriteError: if the system refuses to write.

    Example:

    ```python
    predict_video(keras_atinet.Predictor(), open_video("room.mp4"), "predicted.mp4")
    ```
    """
    panels = draw_frames(predictor, video)
    first = next(panels)
    height, width = first.shape[:2]
    with files.replacing(path) as new:
        writer = load_imageio_ffmpeg().write_frames(
            str(new), (width, height), fps=video.fps, macro_block_size=2, ffmpeg_log_level="fatal"
        )
        with contextlib.closing(writer):
            writer.send(None)
            for count, panel in enumerate(itertools.chain([first], panels), start=1):
                writer.send(panel)
                if on_frame:
                    on_frame(count)
        open_video(new)
    return count


def draw_frames(predictor, video):
    """The pictures of which `predict_video` makes a video.

    Args:
        predictor: `Predictor`.
        video: `Video`, or any object with its `frames`, `num_frames` and `duration`.

    Yields:
        uint8 array `(height, width, 3)`, height and width even, all of the same size.
    """
    tasks = predictor.tasks
    longest = max(CELL, *predictor.model.input_shape[1:3])
    samples = list(predictor.predict(_samples(video, longest)))
    samples = {task.name: np.concatenate([maps[task.name] for maps in samples]) for task in tasks}
    limits = {task.name: task.color_limits(samples[task.name]) for task in tasks}
    classes = {task.name: _listed(task, samples[task.name]) for task in tasks}
    frames, predicted = itertools.tee(video.frames(longest))
    panel = None
    for frame, maps in zip(frames, predictor.predict(predicted), strict=True):
        pictures = color(frame, maps, tasks, limits)
        panel = panel or Panel(pictures, tasks, limits, classes)
        yield panel.draw(pictures)


def load_imageio_ffmpeg():
    """The module `imageio_ffmpeg`.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ImportError(
            "Reading and writing videos needs imageio-ffmpeg. "
            "Install it with `pip install keras-atinet[video]`."
        ) from error
    # Else it runs Python in forked processes, which may hang. Ctrl-C reaches this process as well.
    os.environ.setdefault("IMAGEIO_FFMPEG_NO_PREVENT_SIGINT", "1")
    # It warns where frames are scaled, which is meant here.
    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)
    return imageio_ffmpeg


def _samples(video, longest):
    starts = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * video.duration
    spread = [frame for seconds in starts for frame in video.frames(longest, seconds, 1)]
    return spread if video.duration and spread else video.frames(longest, count=_SAMPLES)


def _listed(task, sample):
    # All classes, as any may come; of very many those in the samples.
    count = len(getattr(task, "class_colors", ()))
    return dict.fromkeys(range(count) if count <= MAX_CLASSES else class_shares(task, sample))


def _read(path, start, options):
    if not path.is_file():
        raise FileNotFoundError(f"There is no such video file. Received: '{path}'.")
    # What is no absolute path FFmpeg may take for a protocol or an option.
    reader = load_imageio_ffmpeg().read_frames(
        str(path.resolve()), input_params=start, output_params=options
    )
    frames = _explained(path, reader)
    return next(frames), frames


def _explained(path, reader):
    try:
        yield from reader
    except Exception as error:
        reason = str(error).strip().splitlines()[-1]
        raise _damaged(path, reason.removeprefix(f"{path.resolve()}: ")) from error


def _damaged(path, reason):
    return ValueError(
        "The video cannot be decoded: it is damaged, or not a kind that FFmpeg reads. "
        f"Received: '{path}' ({reason}). Write it again, or convert it to MP4."
    )
