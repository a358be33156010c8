"""What the pictures of networks are drawn with: boxes, arrows and panels in SVG."""

import html
import math

TASKS = {"segmentation": "#3b6fb6", "depth": "#2f8f5b", "normal": "#b5562a"}
GREY, LIGHT = "#555555", "#d9dce1"
PANEL, EDGE = "#f4f1ea", "#c9bfa8"
LEVELS = {1: 104, 2: 86, 4: 70, 8: 54, 16: 40, 32: 30}  # stride: height of a level's box


class Drawing:
    """A picture; y points down, boxes are given by their middle.

    Args:
        width, height: its size, in pixels where it is shown at full size.
    """

    def __init__(self, width, height):
        self.size = width, height
        # What is drawn first lies below.
        self._panels, self._lines, self._boxes = [], [], []

    def box(self, x, y, width=44, height=34, color=GREY, text="", size=14, ring=False):
        """A rounded box; with `ring`, a dashed one around it, for an initial prediction."""
        self._boxes.append(_rectangle(x, y, width, height, f'fill="{color}"'))
        if ring:
            style = f'fill="none" stroke="{color}" stroke-width="1.5" stroke-dasharray="4 3"'
            self._boxes.append(_rectangle(x, y, width + 9, height + 9, style))
        if text:
            self.text(x, y, text, "white", size)

    def matrix(self, x, y, color, size=34):
        """A square of cells: how alike any two pixels are."""
        self._boxes.append(_rectangle(x, y, size, size, 'fill="white"', radius=2))
        cell = size / 4
        for row in range(4):
            for column in range(4):
                opacity = (1, 0.35, 0.6, 0.2)[abs(row - column)]
                self._boxes.append(
                    _rectangle(
                        x + (column - 1.5) * cell,
                        y + (row - 1.5) * cell,
                        cell - 1,
                        cell - 1,
                        f'fill="{color}" opacity="{opacity}"',
                        radius=0,
                    )
                )

    def panel(self, left, top, right, bottom, title=""):
        """The place where tasks exchange features, its title above it."""
        x, y = (left + right) / 2, (top + bottom) / 2
        style = f'fill="{PANEL}" stroke="{EDGE}"'
        self._panels.append(_rectangle(x, y, right - left, bottom - top, style, radius=6))
        self.text(x, top - 12, title)

    def line(self, *points, color=GREY, width=1.5, dashed=False, head=False, corner=10):
        """Through points, with rounded corners; with `head`, an arrow."""
        path, (x, y) = [], points[0]
        path.append(f"M{x:g} {y:g}")
        for before, at, after in zip(points, points[1:], points[2:], strict=False):
            (a, b), (c, d) = _towards(at, before, corner), _towards(at, after, corner)
            path.append(f"L{a:g} {b:g}Q{at[0]:g} {at[1]:g} {c:g} {d:g}")
        end = _towards(points[-1], points[-2], 5) if head else points[-1]
        path.append(f"L{end[0]:g} {end[1]:g}")
        style = f'fill="none" stroke="{color}" stroke-width="{width}"'
        style += ' stroke-dasharray="5 4"' if dashed else ""
        self._lines.append(f'<path d="{"".join(path)}" {style}/>')
        if head:
            self._lines.append(_arrowhead(points[-2], points[-1], color))

    def arrow(self, *points, **options):
        self.line(*points, head=True, **options)

    def text(self, x, y, text, color=GREY, size=14, anchor="middle"):
        """Lines of text around y."""
        lines = text.split("\n")
        for index, line in enumerate(lines):
            height = y + (index - (len(lines) - 1) / 2) * 1.25 * size + 0.35 * size
            self._boxes.append(
                f'<text x="{x:g}" y="{height:g}" fill="{color}" font-size="{size}" '
                f'text-anchor="{anchor}">{html.escape(line)}</text>'
            )

    def save(self, path):
        width, height = self.size
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="Helvetica, Arial, sans-serif">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *self._panels,
            *self._lines,
            *self._boxes,
            "</svg>",
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def exchange(drawing, left, right, rows):
    """Every task's features to every task, its own by a thick line; rows is a dict task -> y."""
    for task, start in rows.items():
        for other, end in rows.items():
            width = 2.2 if task == other else 1.1
            drawing.arrow((left, start), (right, end), color=TASKS[task], width=width)


def head(drawing, x, y, task, from_x, height=30):
    """A task's head and its name."""
    drawing.arrow((from_x, y), (x - 27, y), color=TASKS[task])
    drawing.box(x, y, 54, height, TASKS[task], "head")
    drawing.text(x + 36, y, task, TASKS[task], anchor="start")


def legend(drawing, x, y):
    """What the dashed boxes are."""
    text = "dashed: makes an initial prediction as well, in training only"
    drawing.box(x + 12, y, 18, 12, GREY, ring=True)
    drawing.text(x + 34, y, text, GREY, anchor="start")


def _rectangle(x, y, width, height, style, radius=4):
    return (
        f'<rect x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" '
        f'height="{height:g}" rx="{radius}" {style}/>'
    )


def _towards(start, end, distance):
    length = math.dist(start, end)
    share = min(distance / length, 0.5) if length else 0
    return tuple(a + share * (b - a) for a, b in zip(start, end, strict=True))


def _arrowhead(start, end, color):
    angle = math.atan2(end[1] - start[1], end[0] - start[0])
    corners = [end]
    for side in (-0.42, 0.42):
        corners.append((end[0] - 9 * math.cos(angle + side), end[1] - 9 * math.sin(angle + side)))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<polygon points="{points}" fill="{color}"/>'
