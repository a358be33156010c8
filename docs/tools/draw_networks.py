"""Draws the pictures of docs/concepts.md: `python docs/tools/draw_networks.py [NAME ...]`."""

import itertools
import pathlib
import sys

from drawing import EDGE, GREY, LEVELS, LIGHT, TASKS, Drawing, exchange, head, legend

TIMES = "\N{MULTIPLICATION SIGN}"
FILTERS = dict(zip(LEVELS, (64, 128, 256, 512, 512, 512), strict=True))


def encoder(drawing, x, y, strides=tuple(LEVELS), step=46):
    """SegNet's levels from left to right, after the image; dict stride -> x."""
    places = {stride: x + index * step for index, stride in enumerate(strides)}
    drawing.text(x - 42, y, "image", anchor="end")
    drawing.arrow((x - 38, y), (x - 17, y))
    for stride, place in places.items():
        drawing.box(place, y, 34, LEVELS[stride], GREY, str(FILTERS[stride]))
    for left, right in itertools.pairwise(places.values()):
        drawing.arrow((left + 17, y), (right - 17, y))
    return places


def rows(middle, distance):
    return dict(zip(TASKS, (middle - distance, middle, middle + distance), strict=True))


def atinet():
    """Its shared network above, the tasks' attention below."""
    drawing = Drawing(1110, 375)
    trunk, tasks = 150, rows(310, 42)
    down = [170 + 55 * index for index in range(5)]
    up = [665 + 55 * index for index in range(5)]
    strides = (1, 2, 4, 8, 16)
    for places, order in ((down, strides), (up, strides[::-1])):
        for x, stride in zip(places, order, strict=True):
            # What the attention masks of all tasks read.
            drawing.line((x, trunk), (x, tasks["normal"]), color=LIGHT)
            drawing.box(x, trunk, 36, LEVELS[stride], GREY, str(FILTERS[stride]))
        for left, right in itertools.pairwise(places):
            drawing.arrow((left + 18, trunk), (right - 18, trunk))
    drawing.text(112, trunk, "image", anchor="end")
    drawing.arrow((118, trunk), (152, trunk))
    drawing.text(down[2], 75, "shared encoder")
    drawing.text(up[2], 75, "shared decoder")
    for task, y in tasks.items():
        drawing.line((down[0], y), (up[-1], y), color=TASKS[task])
        for x in (*down, *up):
            drawing.box(x, y, 28, 28, TASKS[task], TIMES, 17)
        head(drawing, up[-1] + 66, y, task, up[-1] + 14)
    drawing.text(138, tasks["depth"], f"task attention:\nmask {TIMES} features", anchor="end")
    _atinet_distillation(drawing, down[-1], up[0], trunk)
    return drawing


def _atinet_distillation(drawing, left, right, trunk):
    drawing.panel(left + 40, 76, right - 40, 235)
    tasks, columns = rows(trunk + 2, 44), (left + 85, right - 85)
    for task, y in tasks.items():
        for x in columns:
            drawing.box(x, y, 40, 28, TASKS[task])
        drawing.arrow((left + 18, trunk), (columns[0] - 20, y))
        drawing.arrow((columns[1] + 20, y), (right - 18, trunk))
    exchange(drawing, columns[0] + 20, columns[1] - 20, tasks)
    middle = (left + right) / 2
    drawing.text(columns[0], 224, "512 to 64", size=12)
    drawing.text(columns[1], 224, "64 to 512", size=12)
    drawing.text(middle, 62, "phase 2: task distillation")
    drawing.text(middle, 22, "phase 1: straight to the decoder")
    # The way of phase 1.
    drawing.arrow((left, trunk - 20), (left, 40), (right, 40), (right, trunk - 20), dashed=True)


def mixed(unit):
    """A SegNet for each task, with units after its levels."""
    drawing = Drawing(850, 330)
    tasks, strides = rows(150, 88), (1, 2, 4, 8, 16)
    down = [100 + 68 * index for index in range(5)]
    up = [down[-1] + 68 + 42 * index for index in range(5)]
    heights = {stride: 0.62 * height for stride, height in LEVELS.items()}
    for task, y in tasks.items():
        for places, order in ((down, strides), (up, strides[::-1])):
            for x, stride in zip(places, order, strict=True):
                drawing.box(x, y, 32, heights[stride], TASKS[task], str(FILTERS[stride]), 12)
        for left, right in itertools.pairwise(up):
            drawing.arrow((left + 16, y), (right - 16, y), color=TASKS[task])
        drawing.arrow((54, 150), (84, y))
        head(drawing, up[-1] + 64, y, task, up[-1] + 16)
    drawing.text(50, 150, "image", anchor="end")
    for x, after in zip(down, (*down[1:], up[0]), strict=True):
        drawing.panel(x + 19, 14, after - 19, 286)
        unit(drawing, x + 16, after - 16, tasks)
    return drawing, (down[2], up[2])


def cross_stitch():
    drawing, (left, right) = mixed(exchange)
    drawing.text(left + 30, 308, "encoders, with a cross-stitch unit after each level")
    drawing.text(right, 308, "decoders")
    return drawing


def nddrcnn():
    def fuse(drawing, left, right, tasks):
        middle = right - 12
        exchange(drawing, left, middle - 6, tasks)
        for task, y in tasks.items():
            drawing.box(middle, y, 10, 30, TASKS[task])
            drawing.line((middle + 5, y), (right, y), color=TASKS[task])

    drawing, (left, right) = mixed(fuse)
    drawing.text(left + 30, 308, "encoders, with 1x1 convolutions after each level")
    drawing.text(right, 308, "decoders")
    return drawing


def supervised(width, exchanged):
    """What PAD-Net, PAP-Net and CTAL have in common; `exchanged` draws the rest."""
    drawing = Drawing(width, 350)
    tasks = rows(170, 84)
    places = encoder(drawing, 92, 170)
    joined = max(places.values()) + 62
    for stride, x in places.items():
        if stride >= 4:
            drawing.line((x, 170 - LEVELS[stride] / 2), (x, 62), (joined, 62))
    drawing.arrow((joined - 20, 62), (joined, 62), (joined, 135))
    drawing.box(joined, 170, 46, LEVELS[4], GREY, "1792")
    drawing.text((92 + joined) / 2, 42, "strides 4 to 32, at the size of the finest")
    drawing.text((92 + joined) / 2 - 30, 245, "shared encoder")
    features = joined + 86
    for task, y in tasks.items():
        drawing.arrow((joined + 23, 170), (features - 27, y))
        drawing.box(features, y, 44, 34, TASKS[task], "256", ring=True)
    exchanged(drawing, features, tasks)
    legend(drawing, 20, 330)
    return drawing


def padnet():
    def distilled(drawing, x, tasks):
        drawing.panel(x + 38, 34, x + 152, 306, "distillation")
        exchange(drawing, x + 27, x + 166, tasks)
        for task, y in tasks.items():
            drawing.box(x + 188, y, 44, 34, TASKS[task], "256")
            head(drawing, x + 262, y, task, x + 210)

    return supervised(870, distilled)


def papnet():
    def diffused(drawing, x, tasks):
        drawing.panel(x + 156, 34, x + 222, 306, "mixed")
        exchange(drawing, x + 152, x + 228, tasks)
        for task, y in tasks.items():
            color = TASKS[task]
            _small_features(drawing, x, y, color)
            drawing.matrix(x + 135, y, color)
            drawing.matrix(x + 246, y, color)
            drawing.arrow((x + 263, y), (x + 296, y), color=color)
            _bypass(drawing, x + 74, x + 318, y, color)
            drawing.box(x + 318, y, 44, 34, color, "128")
            head(drawing, x + 390, y, task, x + 340)
        _notes(drawing, x, x + 246, 330, "affinities", "diffusion")

    return supervised(1000, diffused)


def ctal():
    def joined(drawing, x, tasks):
        drawing.panel(x + 166, 34, x + 242, 306, "joint affinity")
        middle = tasks["depth"]
        drawing.matrix(x + 204, middle, GREY, 56)
        for task, y in tasks.items():
            color = TASKS[task]
            _small_features(drawing, x, y, color)
            drawing.matrix(x + 135, y, color)
            drawing.arrow((x + 152, y), (x + 176, middle), color=color)
            drawing.arrow((x + 232, middle), (x + 266, y), color=GREY)
            _bypass(drawing, x + 74, x + 288, y, color)
            drawing.box(x + 288, y, 44, 34, color, "128")
            head(drawing, x + 390, y, task, x + 310)
            drawing.text(x + 336, y - 13, f"{TIMES} 2", color)
        _notes(drawing, x, x + 288, 330, "affinities", "attention")

    return supervised(1000, joined)


def _small_features(drawing, x, y, color):
    """From features at stride 4 to those whose pixels are compared."""
    drawing.arrow((x + 27, y), (x + 52, y), color=color)
    drawing.box(x + 74, y, 44, 26, color, "128")
    drawing.arrow((x + 96, y), (x + 118, y), color=color)


def _bypass(drawing, left, right, y, color):
    drawing.arrow((left, y - 13), (left, y - 32), (right, y - 32), (right, y - 17), color=color)


def _notes(drawing, x, right, y, first, second):
    drawing.text(x + 74, y, "at 1/8")
    drawing.text(x + 135, y, first)
    drawing.text(right + 20, y, second)


def mtinet():
    """Scales from left to right, the coarsest first."""
    drawing = Drawing(955, 460)
    tasks, step = rows(200, 46), 178
    columns = {stride: 70 + step * index for index, stride in enumerate((32, 16, 8, 4))}
    encoder_from_the_right(drawing, columns, 62)
    buses = dict(zip(TASKS, (360, 388, 416), strict=True))
    for stride, x in columns.items():
        drawing.arrow((x, 62 + LEVELS[stride] / 2), (x, 135))
        if stride > 4:
            drawing.panel(x + 46, 132, x + step - 46, 268, "propagation")
            exchange(drawing, x + 27, x + step - 27, tasks)
        drawing.arrow((x, 264), (x, 284))
        drawing.panel(x - 40, 276, x + 40, 326)
        for task, y in tasks.items():
            drawing.box(x, y, 44, 28, TASKS[task], str(8 * stride), ring=True)
        for offset, task in zip((-25, 0, 25), TASKS, strict=True):
            y, place = buses[task], x + offset
            drawing.line((place, 301), (place, y), (place + 70, y), color=TASKS[task])
            drawing.box(place, 301, 20, 26, TASKS[task])
    drawing.text(columns[32] + step / 2, 301, "distillation")
    for task, y in buses.items():
        drawing.line((columns[32] + 40, y), (750, y), color=TASKS[task])
        head(drawing, 800, y, task, 750, height=22)
    drawing.text(800, 310, "all scales at the size\nof the finest, side by side")
    legend(drawing, 20, 442)
    return drawing


def encoder_from_the_right(drawing, columns, y):
    """SegNet's levels, the last four over these columns, dict stride -> x, finest last."""
    places = {**columns, 2: columns[4] + 66, 1: columns[4] + 122}
    for stride, x in places.items():
        drawing.box(x, y, 34, LEVELS[stride], GREY, str(FILTERS[stride]))
    for left, right in itertools.pairwise(places.values()):
        drawing.arrow((right - 17, y), (left + 17, y))
    drawing.arrow((places[1] + 40, y), (places[1] + 17, y))
    drawing.text(places[1] + 44, y, "image", anchor="start")


def jtrl():
    """The states of all tasks in the order in which they are made."""
    drawing = Drawing(960, 372)
    strides, step = (32, 16, 8, 4), 190
    columns = {stride: 40 + step * index for index, stride in enumerate(strides)}
    middles = {stride: x + 52 for stride, x in columns.items()}
    encoder_from_the_right(drawing, middles, 62)
    buses = dict(zip(TASKS, (256, 284, 312), strict=True))
    before = None
    for stride, first in columns.items():
        for index, task in enumerate(TASKS):
            x, y, color = first + 52 * index, 190, TASKS[task]
            height = 0.7 * LEVELS[stride] + 6
            drawing.arrow((middles[stride], 62 + LEVELS[stride] / 2), (x, y - height / 2 - 5))
            if before is not None:
                drawing.arrow((before + 15, y), (x - 15, y))
            if stride < 32:
                drawing.line(
                    (x - step, y),
                    (x - step, buses[task]),
                    (x - 27, buses[task]),
                    (x - 27, y),
                    color=color,
                )
                drawing.box(x - 27, y, 14, 14, EDGE)
            drawing.box(x, y, 30, height, color, "128", 12, ring=stride > 4)
            before = x
    for index, (task, y) in enumerate(buses.items()):
        x = columns[4] + 52 * index
        drawing.line((x, 190), (x, y), (780, y), color=TASKS[task])
        head(drawing, 810, y, task, 760, height=22)
    drawing.box(32, 352, 14, 14, EDGE)
    drawing.text(54, 352, "attention to two states", anchor="start")
    legend(drawing, 240, 352)
    return drawing


def main():
    folder = pathlib.Path(__file__).parents[1] / "networks"
    networks = (atinet, cross_stitch, nddrcnn, padnet, papnet, ctal, mtinet, jtrl)
    for network in networks:
        if network.__name__ in (sys.argv[1:] or [network.__name__ for network in networks]):
            network().save(folder / f"{network.__name__}.svg")


if __name__ == "__main__":
    main()
