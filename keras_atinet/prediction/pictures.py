"""Pictures of predictions: beside the photograph, and on top of it."""

import math

import numpy as np

from keras_atinet.prediction.panel import CELL, draw_panel
from keras_atinet.prediction.reading import read_bytes

_PIXELS = 2**20  # that are coloured or blended at a time


def side_by_side(image, predictions, tasks):
    """Draws a photograph and what was predicted for it, with the keys to the colours.

    Below depth stands a bar of its colours, from the 1st to the 99th percentile of the prediction;
    below normals, what the surfaces of a colour face; at the bottom, the classes that occur, with
    their share of the pixels. The longest side of a cell has 480 pixels, whatever the image has.

    Args:
        image: what a `Predictor` takes, a path, `PIL.Image.Image` or array.
        predictions: dict task name -> decoded map `(height, width[, channels])`, as from a
            `Predictor`.
        tasks: sequence of `Task`.

    Returns:
        `matplotlib.figure.Figure`; write it with `figure.savefig("room.png")`.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: as of `read_picture`.

    Example:

    ```python
    predictor = keras_atinet.Predictor()
    figure = side_by_side("room.jpg", predictor("room.jpg"), predictor.tasks)
    ```
    """
    image = _thin(read_bytes(image))
    predictions = {task.name: _thin(predictions[task.name]) for task in tasks}
    limits = {task.name: task.color_limits(predictions[task.name]) for task in tasks}
    shares = {task.name: class_shares(task, predictions[task.name]) for task in tasks}
    return draw_panel(color(image, predictions, tasks, limits), tasks, limits, shares)


def overlay(image, prediction, task, opacity=0.5):
    """The colours of a prediction on top of a photograph: `(1 - opacity) image + opacity colours`.

    Args:
        image: what a `Predictor` takes, a path, `PIL.Image.Image` or array.
        prediction: decoded map `(height, width[, channels])`, as from a `Predictor`.
        task: `Task`.
        opacity: float in [0, 1], of the prediction.

    Returns:
        uint8 array `(height, width, 3)`.

    Raises:
        ValueError: if the sizes differ, or `opacity` is not in [0, 1].

    Example:

    ```python
    predictor = keras_atinet.Predictor()
    classes = predictor("room.jpg")["segmentation"]
    picture = overlay("room.jpg", classes, predictor.tasks[0])
    ```
    """
    image, prediction = read_bytes(image), np.asarray(prediction)
    if image.shape[:2] != prediction.shape[:2]:
        raise ValueError(
            "`image` and `prediction` must have the same size. Received: "
            f"{image.shape[:2]} and {prediction.shape[:2]}. Resize one of them."
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"`opacity` must be in [0, 1]. Received: {opacity}. Choose 0.5, say.")
    result = full_size_colors(task, prediction)
    for rows in strips(result):
        result[rows] = np.rint(
            image[rows] + opacity * (result[rows].astype("float32") - image[rows])
        )
    return result


def full_size_colors(task, prediction):
    """The colours of a decoded prediction of any size, uint8 `(height, width, 3)`.

    Their range is that of `side_by_side`. They are made in strips of rows: those of 50 megapixels
    would need gigabytes on the way.
    """
    limits = task.color_limits(_thin(prediction))
    return np.concatenate([colorize(task, prediction[rows], limits) for rows in strips(prediction)])


def strips(array):
    """Slices of rows of an array, of about a million pixels each."""
    step = max(1, _PIXELS // array.shape[1])
    return [slice(start, start + step) for start in range(0, len(array), step)]


def colorize(task, prediction, limits=None):
    """The colours of a decoded prediction, uint8 `(height, width, 3)`.

    What is outside the limits has the colour of the nearer one: a depth of 0 is very near, and not
    missing, as it is in a target.
    """
    return task.colorize(prediction if limits is None else np.clip(prediction, *limits), limits)


def color(image, predictions, tasks, limits):
    """The image, and the colours of the prediction of each task, in a list."""
    colors = [colorize(task, predictions[task.name], limits[task.name]) for task in tasks]
    return [image, *colors]


def class_shares(task, prediction):
    """dict class -> share of the pixels, of those that occur, largest first; None without any."""
    if getattr(task, "class_colors", None) is None:
        return None
    classes, counts = np.unique(prediction, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {int(classes[index]): counts[index] / counts.sum() for index in order}


def _thin(array):
    # No more than twice what is shown, which takes long to colour and to draw.
    array = np.asarray(array)
    step = max(1, math.ceil(max(array.shape[:2]) / (2 * CELL)))
    rows, columns = (slice(min(step, size) // 2, None, step) for size in array.shape[:2])
    return array[rows, columns]
