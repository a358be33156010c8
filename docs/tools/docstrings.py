"""Makes Markdown of the docstrings, for the API reference (an extension of griffe)."""

import re
import textwrap

import griffe

_SECTION = re.compile(r"^([A-Z][A-Za-z ]*):$")
_DOCTEST = re.compile(r"^(>>> .*(?:\n(?!\s*$).+)*)", re.MULTILINE)
_ITEM = re.compile(r"^(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*): ", re.MULTILINE)


class Docstrings(griffe.Extension):
    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(docstring):
    """Sections such as `Args:` become bold titles, their items lists, doctests code blocks."""
    parts, lines = [], docstring.splitlines()
    while lines:
        line = lines.pop(0)
        match = _SECTION.match(line)
        body = _indented(lines) if match else []
        lines = lines[len(body) :]
        is_title = match and (body or match[1] == "Example")
        parts += ["", f"**{match[1]}**", ""] if is_title else [line]
        parts += _items(textwrap.dedent("\n".join(body))) if body else []
    return _DOCTEST.sub(r"```pycon\n\1\n```", "\n".join(parts))


def _indented(lines):
    count = 0
    while count < len(lines) and (not lines[count].strip() or lines[count].startswith("    ")):
        count += 1
    return lines[:count] if any(line.strip() for line in lines[:count]) else []


def _items(text):
    starts = [match.start() for match in _ITEM.finditer(text)]
    if not starts or starts[0] != 0:
        return [text, ""]
    items = [text[i:j] for i, j in zip(starts, [*starts[1:], None], strict=True)]
    items = (_ITEM.sub(_code, item).replace("\n    ", "\n") for item in items)
    return ["-   " + textwrap.indent(item.strip(), "    ").strip() for item in items] + [""]


def _code(match):
    return ", ".join(f"`{name}`" for name in match[1].split(", ")) + ": "
