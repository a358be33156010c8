"""`keras-atinet report`."""

import pathlib

from keras_atinet.files import write_text
from keras_atinet.report import run_report


def run(arguments, argv):
    """Writes a page about some runs."""
    paths = [pathlib.Path(path) for path in arguments.runs]
    text = run_report(paths, arguments.pictures, arguments.num_samples)
    file = pathlib.Path(arguments.out or paths[0] / "report.html")
    write_text(file, text)
    print(f"{file} ({len(text) / 2**20:.1f} MB)")
