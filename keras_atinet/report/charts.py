"""Charts of histories and confusion matrices."""

import numpy as np

from keras_atinet.visualization import literal, load_matplotlib

_COLORS = ("#2563a8", "#d1622b", "#2c8a5b", "#8a4fa3", "#b8860b", "#5b6675", "#c2417c")
_INK = "#1c2330"
_GRID = "#e4e8ee"


def line_chart(title, series, switch=None):
    """Lines over the epochs, counted from 1.

    Args:
        title: str.
        series: list of `(label, list of values, is_dashed, color number)`; NaN is not drawn.
        switch: optional int, the epoch (from 0) with which the second phase begins.

    Returns:
        `matplotlib.figure.Figure`.
    """
    figure, axes = _axes((3.9, 2.9))
    for label, values, is_dashed, color in series:
        epochs = np.arange(1, len(values) + 1)
        style = {"linestyle": "--", "linewidth": 1.2} if is_dashed else {"linewidth": 1.6}
        # One epoch makes no line.
        marker = "o" if len(values) < 3 else None
        axes.plot(
            epochs, values, label=label, color=_COLORS[color % len(_COLORS)], marker=marker, **style
        )
    if switch:
        axes.axvline(switch + 0.5, color=_INK, linewidth=0.9, linestyle=":")
        axes.annotate(
            "phase 2",
            (switch + 0.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -9),
            textcoords="offset points",
            fontsize=7.5,
            color=_INK,
        )
    axes.set_title(title, fontsize=10, loc="left", color=_INK)
    axes.set_xlabel("epoch", fontsize=8.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(series) > 1:
        # Below the lines, which it would hide.
        figure.legend(loc="outside lower center", fontsize=7.5, frameon=False, ncols=3)
    return figure


def confusion_chart(matrix, names):
    """A confusion matrix as shares of the true classes.

    Args:
        matrix: array `(classes, classes)`, numbers of pixels, truth in rows.
        names: list of str.

    Returns:
        `matplotlib.figure.Figure`.
    """
    total = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(total, 1)
    side = 1.8 + 0.34 * len(names)
    figure, axes = _axes((side, side))
    axes.grid(False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks, names = range(len(names)), [literal(name) for name in names]
    axes.set_xticks(ticks, names, rotation=90, fontsize=8)
    labels = [name if count else f"{name} (none)" for name, count in zip(names, total, strict=True)]
    axes.set_yticks(ticks, labels, fontsize=8)
    axes.set_xlabel("predicted", fontsize=9)
    axes.set_ylabel("truth", fontsize=9)
    for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
        share = shares[row, column]
        color = "white" if share > 0.55 else _INK
        axes.text(
            column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7, color=color
        )
    return figure


def _axes(size):
    figure = load_matplotlib().figure.Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, color=_GRID)
    for side in axes.spines.values():
        side.set_color(_GRID)
    return figure, axes
