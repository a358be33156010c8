"""Draws the picture of ATI-Net in docs/concepts.md: `python docs/tools/draw_network.py`."""

import itertools
import pathlib

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "atinet", "font.size": 11})
TASKS = {"segmentation": "#3b6fb6", "depth": "#2f8f5b", "normal": "#b5562a"}
TIMES = "\N{MULTIPLICATION SIGN}"
GREY, LIGHT = "#555555", "#d9dce1"
FILTERS = (64, 128, 256, 512, 512)
TRUNK = 3.35  # height of the middle of the shared network
ROWS = dict(zip(TASKS, (1.35, 0.7, 0.05), strict=True))
ENCODER = [1.2 + 0.85 * level for level in range(5)]
DECODER = [8.75 + 0.85 * level for level in range(5)]


def box(axes, x, y, width, height, color, text="", size=11, alpha=1.0):
    patch = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=color,
        edgecolor="none",
        alpha=alpha,
    )
    axes.add_patch(patch)
    axes.text(x, y, text, ha="center", va="center", size=size, color="white")


def arrow(axes, start, end, color=GREY, style="-|>", width=1.2, dashed=False, bend=0.0):
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle=style,
            mutation_scale=10,
            color=color,
            linewidth=width,
            linestyle="--" if dashed else "-",
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=0,
            shrinkB=0,
        )
    )


def draw_trunk(axes):
    heights = [1.7, 1.4, 1.1, 0.8, 0.55]
    for places, levels in ((ENCODER, range(5)), (DECODER, range(4, -1, -1))):
        for x, level in zip(places, levels, strict=True):
            box(axes, x, TRUNK, 0.55, heights[level], GREY, str(FILTERS[level]))
            # What the attention masks of all tasks read.
            axes.plot([x, x], [TRUNK - heights[level] / 2, ROWS["normal"]], color=LIGHT, zorder=0)
        for left, right in itertools.pairwise(places):
            arrow(axes, (left + 0.29, TRUNK), (right - 0.29, TRUNK))
    arrow(axes, (0.45, TRUNK), (ENCODER[0] - 0.29, TRUNK))
    axes.text(0.4, TRUNK, "image", ha="right", va="center")
    axes.text(ENCODER[2], 4.45, "shared encoder", ha="center", color=GREY)
    axes.text(DECODER[2], 4.45, "shared decoder", ha="center", color=GREY)


def draw_tasks(axes):
    for name, y in ROWS.items():
        color = TASKS[name]
        last = DECODER[-1]
        axes.plot([ENCODER[0], last], [y, y], color=color, linewidth=1.2, zorder=0)
        for x in (*ENCODER, *DECODER):
            box(axes, x, y, 0.4, 0.4, color, TIMES, size=13)
        arrow(axes, (last + 0.2, y), (last + 0.55, y), color)
        box(axes, last + 0.9, y, 0.68, 0.4, color, "head", size=10)
        axes.text(last + 1.3, y, name, ha="left", va="center", color=color)
    text = f"task attention:\nmask {TIMES} features"
    axes.text(0.85, ROWS["depth"], text, ha="right", va="center", color=GREY)


def draw_distillation(axes):
    left, right = ENCODER[-1], DECODER[0]
    axes.add_patch(
        FancyBboxPatch(
            (left + 0.55, 2.0),
            right - left - 1.1,
            2.75,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor="#f4f1ea",
            edgecolor="#c9bfa8",
            zorder=-1,
        )
    )
    columns = [left + 1.05, right - 1.05]
    heights = dict(zip(TASKS, (TRUNK + 0.7, TRUNK, TRUNK - 0.7), strict=True))
    for name, y in heights.items():
        for x in columns:
            box(axes, x, y, 0.6, 0.45, TASKS[name])
        arrow(axes, (left + 0.29, TRUNK), (columns[0] - 0.31, y))
        arrow(axes, (columns[1] + 0.31, y), (right - 0.29, TRUNK))
        for other, height in heights.items():
            is_own = other == name
            start, end = (columns[0] + 0.31, y), (columns[1] - 0.31, height)
            color = TASKS[name]
            arrow(axes, start, end, color, width=1.6 if is_own else 0.9, dashed=not is_own)
    middle = (left + right) / 2
    axes.text(middle, 4.45, "task distillation", ha="center", color=GREY)
    axes.text(columns[0], 2.12, "512 to 64", ha="center", size=9, color=GREY)
    axes.text(columns[1], 2.12, "64 to 512", ha="center", size=9, color=GREY)
    # The way of phase 1.
    axes.plot([left, left, right], [TRUNK + 0.3, 5.15, 5.15], color=GREY, linestyle="--")
    arrow(axes, (right, 5.15), (right, TRUNK + 0.29), GREY, dashed=True)
    axes.text(middle, 5.3, "phase 1: straight to the decoder", ha="center", color=GREY)
    axes.text(middle, 4.83, "phase 2: the mean of these", ha="center", color=GREY)


def main():
    figure = Figure(figsize=(11.2, 4.2))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-1.35, 15.3), ylim=(-0.4, 5.75), aspect="equal")
    axes.axis("off")
    draw_trunk(axes)
    draw_tasks(axes)
    draw_distillation(axes)
    path = pathlib.Path(__file__).parents[1] / "network.svg"
    figure.savefig(path, metadata={"Date": None}, facecolor="white")


main()
