"""What the page shows of a prediction, and the file that it offers."""

import pathlib
import tempfile
import zipfile

import numpy as np

from keras_atinet.data.transforms.resize import resample
from keras_atinet.prediction.panel import title
from keras_atinet.prediction.pictures import full_size_colors
from keras_atinet.prediction.point_cloud import (
    DEFAULT_FOV,
    field_of_view,
    point_cloud,
    write_ply,
)
from keras_atinet.prediction.writing import find_task, write_predictions
from keras_atinet.report.pictures import mask_rows
from keras_atinet.serving.keys import key
from keras_atinet.serving.photo import read_photo
from keras_atinet.tasks import DepthEstimation
from keras_atinet.visualization import AttentionMasks

_MAX_POINTS = 150_000  # that a telephone turns smoothly


class Results:
    """Makes what the page shows of a photograph.

    Args:
        predictor: `Predictor`.
        max_megapixels: float, the most that a photograph may have.
    """

    def __init__(self, predictor, max_megapixels):
        self.predictor, self.max_megapixels = predictor, max_megapixels
        self.tasks = predictor.tasks
        self.titles = [title(task).capitalize() for task in self.tasks]
        self.depth = find_task(self.tasks, DepthEstimation)
        self.masks = AttentionMasks(predictor.model)

    def predict(self, path):
        """A photograph and the maps that are predicted for it.

        Args:
            path: str or path of a file.

        Returns:
            uint8 array `(height, width, 3)`, no larger than it is shown; dict of maps.

        Raises:
            ValueError: if the file is not a photograph that can be read.
        """
        photo = read_photo(path, self.max_megapixels)
        return photo, self.predictor(photo)

    def pictures(self, maps):
        """For each task the colours of its map, and HTML of what they mean."""
        return [
            (full_size_colors(task, maps[task.name]), key(task, maps[task.name]))
            for task in self.tasks
        ]

    def mask_pictures(self, photo):
        """HTML of the attention masks; "" where the network has none."""
        if not self.masks:
            return ""
        image = resample(photo, self.predictor.model.input_shape[1:3])
        drawn = self.masks(np.clip(image[None] / np.float32(255), 0, 1))
        return mask_rows(dict(zip(self.titles, drawn.values(), strict=True)))

    def field_of_view(self, path):
        """That of a photograph in degrees, if it says, or a usual one."""
        return field_of_view(path) or DEFAULT_FOV

    def write_points(self, path, photo, maps, fov):
        """Writes the cloud of points of the first depth.

        Args:
            path: path of a `.ply` file.
            photo, maps: as from `predict`.
            fov: float, the horizontal field of view in degrees.
        """
        cloud = point_cloud(maps[self.depth.name], fov, photo, max_points=_MAX_POINTS)
        write_ply(path, *cloud)

    def write_archive(self, path, photo, maps, others=()):
        """Writes a `.zip` file with what `keras-atinet predict` writes, and other files."""
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, "w") as archive:
            write_predictions(pathlib.Path(folder), "photo", photo, maps, self.tasks)
            for file in [*sorted(pathlib.Path(folder).iterdir()), *others]:
                archive.write(file, file.name)
