"""Reads `labelled_set.json`."""

import functools
import json
import pathlib


@functools.cache
def labelled_set():
    """The content of `labelled_set.json`: a dict of lists."""
    return json.loads(pathlib.Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
