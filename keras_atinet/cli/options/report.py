"""Options of `keras-atinet report`."""

from keras_atinet.cli.options.shared import COUNT

SUMMARY = "Write one HTML page about runs."
DETAILS = "It has curves, scores, pictures and masks, and how they came about."
EXAMPLES = ("keras-atinet report runs/first runs/second --out report.html",)
PATHS = ("runs",)


def add_options(parser):
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="run folder")
    add("--out", metavar="FILE", help="(default: report.html in the first run)")
    add("--pictures", default=6, help="samples shown (default: 6)", **COUNT)
    add("--num-samples", help="samples to predict (default: all)", **COUNT)
