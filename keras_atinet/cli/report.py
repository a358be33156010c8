"""`keras-atinet report`."""

import pathlib

from keras_atinet.cli.options import COUNT
from keras_atinet.files import write_text
from keras_atinet.report import run_report

SUMMARY = (
    "Write one HTML file about runs: curves, scores, pictures, masks, and how they came about."
)


def add_options(parser):
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="run folder")
    add("--out", metavar="FILE", help="(default: report.html in the first run)")
    add("--pictures", default=6, help="samples shown (default: 6)", **COUNT)
    add("--num-samples", help="samples to predict (default: all)", **COUNT)


def run(arguments, argv):
    """Writes a page about some runs."""
    paths = [pathlib.Path(path) for path in arguments.runs]
    text = run_report(paths, arguments.pictures, arguments.num_samples)
    file = pathlib.Path(arguments.out or paths[0] / "report.html")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    print(f"{file} ({len(text) / 2**20:.1f} MB)")
