"""Tables of text whose rows are printed one by one."""

import math
from typing import NamedTuple

MARK = "*"
_NUMBER = 7  # characters of what `number` returns


class Column(NamedTuple):
    """A column: two lines of its header, and the characters that its values may take."""

    heading: str
    name: str
    width: int = _NUMBER


class TextTable:
    """Lines of text with aligned columns, no longer than a terminal is wide.

    Names that are too long are cut, ended by a full stop; where that does not do, the last columns
    are left out.

    Args:
        columns: list of `Column`.
        width: int, characters of a line, or None for as many as it takes.
        legend: str, what `MARK` before a row says.
    """

    def __init__(self, columns, width=None, legend=""):
        self._gap = " "
        self.widths = [max(len(c.heading), len(c.name), c.width) for c in columns]
        if width and self._length() + len(columns) - 1 <= width:
            self._gap = "  "
        self._columns, self._left_out, self._legend = list(columns), [], legend
        while width and self._length() > width and len(self._columns) > 1:
            pairs = zip(self.widths, self._columns, strict=True)
            longer = {index: w for index, (w, column) in enumerate(pairs) if w > column.width}
            if longer:
                self.widths[max(longer, key=longer.get)] -= 1
            else:
                self._left_out.insert(0, self._columns.pop())
                self.widths.pop()

    def header(self):
        """Its lines, one or two, and one about columns that are left out."""
        names, headings = (
            self._line(map(_cut, (column[line] for column in self._columns), self.widths))
            for line in (1, 0)
        )
        legend = f"{MARK} {self._legend}" if self._legend else ""
        # It stands where the first columns have no heading.
        room = len(headings) - len(headings.lstrip())
        if headings and len(legend) + 2 <= room:
            lines = [legend + headings[len(legend) :], names]
        else:
            lines = [line for line in (legend, headings, names) if line]
        if self._left_out:
            titles = [" ".join(filter(None, column[:2])) for column in self._left_out]
            lines.append(f"(no room for {', '.join(titles)})")
        return "\n".join(lines)

    def row(self, values, is_marked=False):
        """A line for values, a str for each column; those of columns left out are not shown."""
        return self._line(values[: len(self.widths)], MARK if is_marked else " ")

    def _line(self, texts, mark=" "):
        cells = map(str.rjust, texts, self.widths)
        return f"{mark} {self._gap.join(cells)}".rstrip()

    def _length(self):
        return 2 + sum(self.widths) + len(self._gap) * (len(self.widths) - 1)


def number(value):
    """A float as text, of seven characters; "-" for NaN and for None."""
    if value is None or math.isnan(value):
        return "-"
    size = abs(value)
    if math.isinf(value) or not size:
        return f"{value:.4f}"
    if not 1e-3 <= size < 1e5:
        return f"{value:.1e}"
    return f"{value:.{4 - max(0, math.floor(math.log10(size)))}f}"


def duration(seconds):
    """Seconds as text: 0:07, 12:30, 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _cut(text, width):
    return text if len(text) <= width else text[: width - 1] + "."
