"""Cells with titles, bars of colours and legends, in one picture."""

import math

import numpy as np

from keras_atinet.data.sources.pillow import pillow
from keras_atinet.tasks import SurfaceNormals
from keras_atinet.visualization import class_names, literal, load_matplotlib

CELL = 480  # pixels of its longest side
MAX_CLASSES = 24  # that are listed
# All pixels, of which 120 are an inch, as which matplotlib measures fonts.
_DPI = 120
_SHORTEST = 24
_COLUMN = 320  # at least, for the texts of a cell
_GAP, _TITLE, _KEY, _ROW, _PATCH, _CHARACTER = 16, 40, 60, 26, 50, 9.5
_ASPECT = 1.6  # of the whole
_SHOWN_CHARACTERS = 30
_TITLES = {"segmentation": "classes", "normal": "surface normals"}
# What surfaces face, and their normal: x right, y down, z forward.
_DIRECTIONS = {
    "facing camera": (0, 0, -1),
    "up": (0, -1, 0),
    "down": (0, 1, 0),
    "left": (-1, 0, 0),
    "right": (1, 0, 0),
}


def draw_panel(pictures, tasks, limits, shares, image_title="photograph"):
    """Draws pictures in a grid, each with its title and key, and the classes below them.

    Args:
        pictures: list of uint8 arrays `(height, width, 3)`, the photograph and one for each task.
        tasks: sequence of `Task`.
        limits: dict task name -> `(low, high)` that the colours span, or None.
        shares: dict task name -> dict class -> share of the pixels, or None to leave it out; empty
            where there are no classes.
        image_title: str, of the photograph.

    Returns:
        `matplotlib.figure.Figure`, whose axes with the pictures come first.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    height, width = _cell_size(*pictures[0].shape[:2])
    column = max(width, _COLUMN)
    columns = _columns(len(pictures), column / (height + _TITLE))
    draw_keys = [None, *(_key(task, limits[task.name], column) for task in tasks)]
    tops = [0]
    for start in range(0, len(pictures), columns):
        has_key = any(draw_keys[start : start + columns])
        tops.append(tops[-1] + _TITLE + height + _KEY * has_key)
    total_width = columns * (column + _GAP) + _GAP
    legends = [_legend(task, shares[task.name], total_width) for task in tasks if shares[task.name]]
    total_height = tops[-1] + _GAP + sum(size for *_, size in legends)
    figure = load_matplotlib().figure.Figure((total_width / _DPI, total_height / _DPI), _DPI)

    def add_axes(left, top, width, height):
        bottom = total_height - top - height
        box = left / total_width, bottom / total_height, width / total_width, height / total_height
        axes = figure.add_axes(box)
        axes.axis("off")
        return axes

    places = [divmod(index, columns) for index in range(len(pictures))]
    lefts = [_GAP + place * (column + _GAP) for _, place in places]
    titles = [image_title, *map(title, tasks)]
    for picture, text, (row, _), left in zip(pictures, titles, places, lefts, strict=True):
        axes = add_axes(left + (column - width) / 2, tops[row] + _TITLE, width, height)
        axes.imshow(picture)
        axes.set_title(literal(text), fontsize=12)
    for draw_key, (row, _), left in zip(draw_keys, places, lefts, strict=True):
        if draw_key:
            draw_key(add_axes(left + 20, tops[row] + _TITLE + height + 10, column - 40, _KEY - 10))
    top = tops[-1] + _GAP / 2
    for entries, legend_columns, size in legends:
        axes = add_axes(_GAP, top, total_width - 2 * _GAP, size)
        _draw_legend(axes, entries, legend_columns, 10)
        top += size
    return figure


class Panel:
    """A panel for the frames of a video, drawn once but for the pictures.

    Args:
        pictures, tasks, limits, shares: as for `draw_panel`.
    """

    def __init__(self, pictures, tasks, limits, shares):
        figure = draw_panel(pictures, tasks, limits, shares, "video")
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        height, width = pixels.shape[:2]
        # Even, for codecs of videos.
        self._pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        boxes = [axes.get_window_extent() for axes in figure.axes[: len(pictures)]]
        self._places = [
            (round(height - box.y1), round(box.x0), round(box.height), round(box.width))
            for box in boxes
        ]

    def draw(self, pictures):
        """The panel with other pictures, uint8 `(height, width, 3)`, height and width even."""
        result = self._pixels.copy()
        for (top, left, height, width), picture in zip(self._places, pictures, strict=True):
            if picture.shape[:2] != (height, width):
                resized = pillow().fromarray(picture).resize((width, height))
                picture = np.asarray(resized)
            result[top : top + height, left : left + width] = picture
        return result


def title(task):
    """The name of a task in plain words."""
    return _TITLES.get(task.name, task.name.replace("_", " "))


def directions(task):
    """`(label, colour)` of what surfaces face, for a task of normals."""
    vectors = np.array([list(_DIRECTIONS.values())], "float32")
    return list(zip(_DIRECTIONS, task.colorize(vectors)[0], strict=True))


def _cell_size(height, width):
    scale = CELL / max(height, width)
    return max(round(scale * height), _SHORTEST), max(round(scale * width), _SHORTEST)


def _columns(count, aspect):
    # How far from the wanted aspect; and an empty place is worse than much of that.
    def fault(columns):
        rows = math.ceil(count / columns)
        return abs(math.log(columns * aspect / rows / _ASPECT)) + 0.6 * (columns * rows - count)

    return min(range(1, count + 1), key=fault)


def _key(task, limits, width):
    """A function of axes that draws what the colours of a task mean, or None."""
    if limits is not None and task.channels == 1:
        return lambda axes: _draw_bar(axes, task, *limits)
    if isinstance(task, SurfaceNormals):
        entries = directions(task)
        columns = len(entries) if width >= CELL else math.ceil(len(entries) / 2)
        return lambda axes: _draw_legend(axes, entries, columns, 9)
    return None


def _draw_bar(axes, task, low, high):
    high = max(high, low + 0.01 * abs(low), low + 1e-3)
    values = np.linspace(low, high, 256, dtype="float32")[None, :, None]
    bar = axes.inset_axes((0, 0.65, 1, 0.35))
    bar.imshow(task.colorize(values, (low, high)), extent=(low, high, 0, 1), aspect="auto")
    bar.set_yticks([])
    bar.locator_params("x", nbins=4)
    bar.xaxis.set_major_formatter(lambda value, _: literal(f"{value:.4g} {task.unit}".strip()))
    bar.tick_params("x", labelsize=9)


def _legend(task, shares, width):
    """Labels and colours, the columns that fit into a width, and the height."""
    names, entries = class_names(task), []
    for index, share in list(shares.items())[:MAX_CLASSES]:
        name = names[index]
        if len(name) > _SHOWN_CHARACTERS:
            name = name[: _SHOWN_CHARACTERS - 1] + "…"
        entries.append((f"{name}{percent(share)}", task.class_colors[index]))
    longest = max(len(label) for label, _ in entries)
    if len(shares) > MAX_CLASSES:
        entries.append((f"and {len(shares) - MAX_CLASSES} more", None))
    columns = max(1, min(len(entries), int(width / (_PATCH + _CHARACTER * longest))))
    # As many in each row, about.
    columns = math.ceil(len(entries) / math.ceil(len(entries) / columns))
    return entries, columns, _ROW * math.ceil(len(entries) / columns) + _GAP


def percent(share):
    """A share of the pixels, to be put behind a name; "" for None."""
    if share is None:
        return ""
    return f" {100 * share:.0f} %" if share >= 0.01 else " < 1 %"


def _draw_legend(axes, entries, columns, size):
    patch = load_matplotlib().patches.Patch
    axes.legend(
        handles=[
            patch(color="none" if color is None else np.asarray(color) / 255, label=literal(label))
            for label, color in entries
        ],
        loc="upper center",
        ncols=columns,
        fontsize=size,
        frameon=False,
        handlelength=1,
        handleheight=1,
        handletextpad=0.5,
        columnspacing=1.5,
        borderaxespad=0,
    )
