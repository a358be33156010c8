"""Pictures of predictions beside the truth."""

import numpy as np
from keras import ops

_CELL_WIDTH = 2.3  # inches
_TITLE_HEIGHT = 0.25
_LEGEND_COLUMNS = 8


def prediction_grid(images, targets, predictions, tasks):
    """Draws images, and per task the truth and the prediction; a row for each sample.

    Truth and prediction of a row share the range of depths that their colours span, which is
    written below them. Missing truth is black. The legend has the classes that occur.

    Args:
        images: array `(n, height, width, 3)` in [0, 1].
        targets: dict task name -> array, as from `data.pipeline`. A task may be absent.
        predictions: dict task name -> array `(n, height, width, channels)`, as from
            `model.predict`.
        tasks: list of `Task`.

    Returns:
        `matplotlib.figure.Figure`; write it with `figure.savefig("predictions.png")`.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if there is no image.

    Example:

    ```python
    images, targets = next(test.as_numpy_iterator())
    figure = prediction_grid(images, targets, model.predict(images), model.tasks)
    ```
    """
    new_figure = _matplotlib().figure.Figure
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            "`images` must have the shape (n, height, width, 3), n > 0. "
            f"Received: shape {images.shape}."
        )
    rows = [_row(images, targets, predictions, tasks, index) for index in range(len(images))]
    legends = [entries for task in tasks if (entries := _classes(task, targets, predictions))]
    heights = [_CELL_WIDTH * images.shape[1] / images.shape[2] + _TITLE_HEIGHT] * len(rows)
    heights += [0.2 * -(-len(entries) // _LEGEND_COLUMNS) + 0.15 for entries in legends]
    figure = new_figure(
        figsize=(_CELL_WIDTH * len(rows[0]), sum(heights)), dpi=120, layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    grid = figure.add_gridspec(len(heights), len(rows[0]), height_ratios=heights)
    for index, row in enumerate(rows):
        for column, (title, picture, note) in enumerate(row):
            axes = figure.add_subplot(grid[index, column])
            axes.imshow(picture, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.set_title(title if index == 0 else "", fontsize=10)
            axes.set_xlabel(note, fontsize=8)
    for index, entries in enumerate(legends, len(rows)):
        _add_legend(figure.add_subplot(grid[index, :]), entries)
    return figure


def _row(images, targets, predictions, tasks, index):
    # Cells of one sample: title, picture, note.
    cells = [("image", np.clip(images[index], 0, 1), "")]
    for task in tasks:
        prediction = task.decode(np.asarray(predictions[task.name][index]))
        truth = targets.get(task.name)
        truth = _missing(task, prediction) if truth is None else np.asarray(truth[index])
        limits, note = _limits(task, truth, prediction)
        if limits is not None:
            # A predicted depth below 0 is very near, not unknown.
            prediction = np.clip(prediction, *limits)
        cells.append((f"{task.name}, truth", task.colorize(truth, limits), note))
        cells.append((f"{task.name}, predicted", task.colorize(prediction, limits), note))
    return cells


def _missing(task, prediction):
    shape = task.target_shape(*prediction.shape[:2])
    return np.full(shape, task.missing_value, task.target_dtype)


def _limits(task, truth, prediction):
    """The range that the colours of a row span, if they do, and a note of it."""
    _, mask = task.prepare(ops.convert_to_tensor(truth[None]))
    limits = task.color_limits(truth if ops.any(mask) else prediction)
    return limits, "" if limits is None else f"{limits[0]:.1f} to {limits[1]:.1f} {task.unit}"


def _classes(task, targets, predictions):
    """`(name, colour)` of the classes that occur in truth or predictions."""
    if getattr(task, "class_colors", None) is None:
        return []
    present = set(np.unique(task.decode(np.asarray(predictions[task.name]))))
    present |= set(np.unique(np.asarray(targets.get(task.name, []), "int32")))
    names = task.class_names or [f"class {index}" for index in range(len(task.class_colors))]
    return [
        (name, color)
        for index, (name, color) in enumerate(zip(names, task.class_colors, strict=True))
        if index in present and index != task.ignore_class
    ]


def _add_legend(axes, entries):
    patch = _matplotlib().patches.Patch
    axes.axis("off")
    axes.legend(
        handles=[patch(color=np.array(color) / 255, label=name) for name, color in entries],
        loc="center",
        ncols=_LEGEND_COLUMNS,
        fontsize=8,
        frameon=False,
    )


def _matplotlib():
    try:
        import matplotlib.figure
        import matplotlib.patches
    except ImportError as error:
        raise ImportError(
            "Drawing needs matplotlib. Install it with `pip install keras-atinet[viz]`."
        ) from error
    return matplotlib
