"""What the colours of a prediction mean, in HTML."""

import html
import math

import numpy as np

from keras_atinet.prediction.panel import directions, percent
from keras_atinet.prediction.pictures import class_shares
from keras_atinet.tasks import SurfaceNormals
from keras_atinet.visualization import class_names

_STEPS = 24  # of a bar of colours
_TICKS = 5
KEYS_STYLE = """
.key { display: flex; flex-wrap: wrap; gap: .2rem .9rem; font-size: .85rem; line-height: 1.4; }
.key i { display: inline-block; width: .9em; height: .9em; margin-right: .35em;
  vertical-align: -.1em; border: 1px solid #8a93a1; border-radius: .15em; }
.bar { height: .9rem; border-radius: .2rem; }
.ticks { display: flex; justify-content: space-between; font-size: .85rem;
  font-variant-numeric: tabular-nums; }
"""


def key(task, prediction):
    """HTML of what the colours of a prediction mean; "" for a task that does not say.

    Args:
        task: `Task`.
        prediction: decoded map `(height, width[, channels])`. Of classes, those that occur are
            named, with their share of the pixels; a range has a bar of its colours.
    """
    shares = class_shares(task, prediction)
    if shares is not None:
        names = class_names(task)
        return _patches(
            (names[index] + percent(share), task.class_colors[index])
            for index, share in shares.items()
        )
    limits = task.color_limits(prediction)
    if limits is not None and task.channels == 1:
        return _bar(task, *limits)
    if isinstance(task, SurfaceNormals):
        return _patches(directions(task))
    return ""


def _patches(entries):
    items = (
        f'<span><i style="background: {_rgb(color)}"></i>{html.escape(label)}</span>'
        for label, color in entries
    )
    return f'<div class="key">{"".join(items)}</div>'


def _bar(task, low, high):
    values = np.linspace(low, high, _STEPS, dtype="float32")
    colors = ", ".join(map(_rgb, task.colorize(values[None, :, None], (low, high))[0]))
    step = max(high - low, 1e-6) / (_TICKS - 1)
    digits = max(int(step < 10), -math.floor(math.log10(step)))
    ticks = "".join(
        f"<span>{html.escape(f'{value:.{digits}f} {task.unit}')}</span>"
        for value in np.linspace(low, high, _TICKS)
    )
    return (
        f'<div class="bar" style="background: linear-gradient(to right, {colors})"></div>'
        f'<div class="ticks">{ticks}</div>'
    )


def _rgb(color):
    red, green, blue = map(int, color)
    return f"rgb({red} {green} {blue})"
