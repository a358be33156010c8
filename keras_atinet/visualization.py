"""Pictures of samples, of predictions beside the truth, and of attention masks."""

import keras
import numpy as np
from keras import ops

from keras_atinet.layers import AttentionMask

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
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            "`images` must have the shape (n, height, width, 3), n > 0. "
            f"Received: shape {images.shape}."
        )
    rows = [
        prediction_cells(images, targets, predictions, tasks, index) for index in range(len(images))
    ]
    drawn = {
        task.name: [targets.get(task.name, []), task.decode(np.asarray(predictions[task.name]))]
        for task in tasks
    }
    return _figure(rows, [drawn_classes(task, drawn[task.name]) for task in tasks])


def sample_grid(samples, tasks, names=None):
    """Draws samples as they come from a source: the image and each target; a row for each.

    Missing pixels are black, and so are targets that a sample lacks. Below depth stands the range
    that its colours span. The legend has the classes that occur.

    Args:
        samples: sequence of dicts of arrays, as from a `data.Source`.
        tasks: list of `Task`.
        names: optional sequence of str, to be written below the images.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if there is no sample.

    Example:

    ```python
    rooms = Rooms(4)
    figure = sample_grid(list(rooms), runs.get_tasks(rooms))
    ```
    """
    samples = list(samples)
    if not samples:
        raise ValueError("`samples` must hold at least one sample. Received: none.")
    names = [""] * len(samples) if names is None else names
    rows = [_sample_row(s, tasks, name) for s, name in zip(samples, names, strict=True)]
    drawn = {task.name: [s[task.name] for s in samples if task.name in s] for task in tasks}
    return _figure(rows, [drawn_classes(task, drawn[task.name]) for task in tasks])


def _figure(rows, legends):
    legends = [entries for entries in legends if entries]
    columns = len(rows[0])
    height, width = rows[0][0][1].shape[:2]
    legend_columns = max(2, min(_LEGEND_COLUMNS, 2 * columns))
    heights = [_CELL_WIDTH * height / width + _TITLE_HEIGHT] * len(rows)
    heights += [0.2 * -(-len(entries) // legend_columns) + 0.15 for entries in legends]
    figure = load_matplotlib().figure.Figure(
        figsize=(_CELL_WIDTH * columns, sum(heights)), dpi=120, layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    for index, row in enumerate(rows):
        for column, (title, picture, note) in enumerate(row):
            axes = figure.add_subplot(grid[index, column])
            axes.imshow(picture, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.set_title(title if index == 0 else "", fontsize=10)
            axes.set_xlabel(note, fontsize=8)
    for index, entries in enumerate(legends, len(rows)):
        _add_legend(figure.add_subplot(grid[index, :]), entries, legend_columns)
    return figure


def _sample_row(sample, tasks, name):
    # Cells of one sample: title, picture, note.
    image = np.clip(sample["image"], 0, 1)
    cells = [("image", image, name)]
    for task in tasks:
        if task.name in sample:
            limits = task.color_limits(sample[task.name])
            picture, note = task.colorize(sample[task.name], limits), _span(task, limits)
        else:
            picture, note = np.zeros_like(image), "no label"
        cells.append((task.name, picture, note))
    return cells


def prediction_cells(images, targets, predictions, tasks, index):
    """The pictures of one sample: the image, and per task the truth and the prediction.

    Args:
        images, targets, predictions, tasks: as for `prediction_grid`.
        index: int, which sample.

    Returns:
        list of `(title, picture (height, width, 3), note)`.
    """
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
    return limits, _span(task, limits)


def _span(task, limits):
    return "" if limits is None else f"{limits[0]:.1f} to {limits[1]:.1f} {task.unit}"


def drawn_classes(task, targets):
    """`(name, colour)` of the classes that occur in some targets."""
    if getattr(task, "class_colors", None) is None:
        return []
    present = {value for target in targets for value in np.unique(np.asarray(target, "int32"))}
    return [
        (name, color)
        for index, (name, color) in enumerate(
            zip(class_names(task), task.class_colors, strict=True)
        )
        if index in present and index != task.ignore_class
    ]


def class_names(task):
    """The names of a task's classes, numbers where it has none; of a `SemanticSegmentation`."""
    return task.class_names or [f"class {index}" for index in range(len(task.class_colors))]


def _add_legend(axes, entries, columns):
    patch = load_matplotlib().patches.Patch
    axes.axis("off")
    axes.legend(
        handles=[
            patch(color=np.array(color) / 255, label=literal(name)) for name, color in entries
        ],
        loc="center",
        ncols=columns,
        fontsize=8,
        frameon=False,
    )


def literal(text):
    """A text for matplotlib, which would set what is between two dollar signs as mathematics."""
    return text.replace("$", r"\$")


def load_matplotlib():
    """The module `matplotlib`, without `pyplot`.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import matplotlib.figure
        import matplotlib.patches
    except ImportError as error:
        raise ImportError(
            "Drawing needs matplotlib. Install it with `pip install keras-atinet[viz]`."
        ) from error
    return matplotlib


class AttentionMasks:
    """Draws the attention masks of a network, averaged over their channels.

    Args:
        model: `MultiTaskModel`. `bool(masks)` is False for one without such masks.

    Call arguments:
        images: array `(n, height, width, 3)` in [0, 1], of the network's size. The first is drawn.

    Returns:
        dict task name -> list of `(picture (height, width) uint8, caption)`, from black at the
        least value to white at the largest, which the caption gives; down the encoder, then up
        the decoder.

    Example:

    ```python
    drawn = AttentionMasks(model)(images)
    drawn["depth"][0]  # (array(...), "encoder 1: 0.12 to 0.93")
    ```
    """

    def __init__(self, model):
        layers = [layer for layer in model.layers if isinstance(layer, AttentionMask)]
        self._tasks = [task.name for task in model.tasks]
        self._reader = layers and keras.Model(
            {"image": model.input}, {layer.name: layer.output for layer in layers}
        )

    def __bool__(self):
        return bool(self._reader)

    def __call__(self, images):
        found = self._reader.predict_on_batch({"image": images}) if self else {}
        # The names are TASK_PART_LEVEL_mask.
        return {
            task: [
                _mask_cell(name.removeprefix(f"{task}_").removesuffix("_mask"), found[name])
                for name in sorted(found, key=_mask_order)
                if name.rsplit("_", 3)[0] == task
            ]
            for task in self._tasks
        }


def _mask_order(name):
    part, level = name.split("_")[-3:-1]
    return (0, int(level)) if part == "encoder" else (1, -int(level))


def _mask_cell(name, mask):
    mean = np.asarray(ops.convert_to_numpy(mask), "float32")[0].mean(axis=-1)
    low, high = float(mean.min()), float(mean.max())
    gray = np.round(255 * (mean - low) / max(high - low, 1e-6)).astype("uint8")
    return gray, f"{name.replace('_', ' ')}: {low:.2f} to {high:.2f}"
