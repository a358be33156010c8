"""Pieces of an HTML page that needs no other file."""

import base64
import html
import io

import numpy as np

from keras_atinet.data.sources.pillow import pillow

_LEAST_COLUMNS = 5  # or a few pictures would be huge
_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 1rem; background: #fff; color: #1c2330;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid #d5dae2; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; overflow-wrap: anywhere; }
code { font-size: .85rem; background: #f2f4f7; padding: .1rem .3rem; border-radius: .2rem;
  overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid #e4e8ee; }
th { background: #f2f4f7; vertical-align: bottom; }
.wide { width: 100%; font-size: .8rem; }
.wide th, .wide td { white-space: normal; padding: .35rem .4rem; min-width: 4rem; }
th:first-child, td:first-child { text-align: left; }
.wide th:first-child, .wide td:first-child { position: sticky; left: 0; background: #fff;
  white-space: nowrap; }
.wide th:first-child { background: #f2f4f7; }
td.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
tr.muted td { color: #66707f; }
.charts { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
.charts img, .chart img { width: 100%; display: block; }
.chart { max-width: 640px; overflow-x: auto; }
.chart img { min-width: 480px; }
@media (max-width: 700px) {
  body { padding: .75rem; font-size: 15px; }
  th, td { padding: .3rem .35rem; }
}
"""
PICTURES_STYLE = """
.sample { margin: 0 0 1.25rem; }
.sample > p { margin: 0 0 .25rem; font-size: .85rem; color: #4a5361; }
.pictures { display: grid; gap: .4rem; grid-template-columns: repeat(var(--columns), 1fr); }
.pictures figure { margin: 0; min-width: 0; }
.pictures img { width: 100%; display: block; image-rendering: pixelated;
  background: repeating-linear-gradient(45deg, #fff 0 4px, #c3c9d2 4px 6px); }
.pictures figcaption { font-size: .72rem; line-height: 1.25; color: #4a5361; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem .9rem; font-size: .8rem; margin: .5rem 0; }
.legend i { display: inline-block; width: .9em; height: .9em; margin-right: .3em;
  vertical-align: -.1em; border: 1px solid #8a93a1; }
.legend .missing { background: repeating-linear-gradient(45deg, #fff 0 3px, #c3c9d2 3px 5px); }
@media (max-width: 700px) {
  .pictures { grid-template-columns: repeat(2, 1fr); }
  .pictures.narrow { grid-template-columns: repeat(5, 1fr); }
  .pictures .lone { grid-column: 1 / -1; }
}
"""


def document(title, body):
    """A page.

    Args:
        title: str.
        body: str, HTML.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}{PICTURES_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def heading(text, level=2):
    return f"<h{level}>{html.escape(text)}</h{level}>"


def paragraph(text):
    return f"<p>{html.escape(text)}</p>"


def table(header, rows, muted=(), wide=False):
    """A table that scrolls sideways where the page is narrower.

    Args:
        header: list of str.
        rows: lists of str.
        muted: numbers of the rows to be shown in grey.
        wide: bool, whether headings wrap and the first column stays in view.
    """
    head = "".join(f"<th>{html.escape(text)}</th>" for text in header)
    lines = []
    for number, row in enumerate(rows):
        cells = "".join(f"<td>{html.escape(text)}</td>" for text in row)
        lines.append(f"<tr{' class=muted' if number in muted else ''}>{cells}</tr>")
    kind = ' class="wide"' if wide else ""
    return (
        f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def facts(pairs):
    """A table of names and texts, long ones wrapped."""
    rows = "".join(
        f'<tr><td>{html.escape(name)}</td><td class="text">{html.escape(str(value))}</td></tr>'
        for name, value in pairs
    )
    return f"<table><tbody>{rows}</tbody></table>"


def charts(figures):
    """Charts beside one another, as many as fit.

    Args:
        figures: sequence of `(matplotlib figure, description)`.
    """
    return f'<div class="charts">{"".join(_chart(*figure) for figure in figures)}</div>'


def chart(figure, description):
    """One chart, larger."""
    return f'<div class="chart">{_chart(figure, description)}</div>'


def pictures(cells, note="", narrow=False):
    """Pictures beside one another; on a phone two in a row, and the first alone.

    Args:
        cells: list of `(array (H, W, 3 or 4) uint8, caption)`; transparent pixels are hatched.
        note: str, written above them.
        narrow: bool, five in a row on a phone, none alone.
    """
    shown = "".join(
        f"<figure{'' if narrow or number else ' class=lone'}>"
        f'<img src="{picture_address(array)}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for number, (array, caption) in enumerate(cells)
    )
    above = f"<p>{html.escape(note)}</p>" if note else ""
    kind = "pictures narrow" if narrow else "pictures"
    columns = max(len(cells), _LEAST_COLUMNS)
    return (
        f'<div class="sample">{above}<div class="{kind}" style="--columns: {columns}">'
        f"{shown}</div></div>"
    )


def legend(entries, with_missing=True):
    """Names beside their colours.

    Args:
        entries: sequence of `(name, RGB triple)`.
        with_missing: bool, whether to explain the hatching.
    """
    items = [
        f'<span><i style="background: rgb{tuple(color)}"></i>{html.escape(name)}</span>'
        for name, color in entries
    ]
    if with_missing:
        items.append('<span><i class="missing"></i>no truth</span>')
    return f'<div class="legend">{"".join(items)}</div>'


def picture_address(array):
    """The address of a picture that holds all of it."""
    file = io.BytesIO()
    # A photograph would be several times larger as a PNG.
    is_photograph = array.shape[-1] == 3
    picture = pillow().fromarray(np.ascontiguousarray(array))
    if is_photograph:
        picture.save(file, "JPEG", quality=88)
    else:
        picture.save(file, "PNG", optimize=True)
    return _address("image/jpeg" if is_photograph else "image/png", file.getvalue())


def _chart(figure, description):
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    address = _address("image/svg+xml", file.getvalue().encode())
    return f'<img src="{address}" alt="{html.escape(description)}">'


def _address(kind, data):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
