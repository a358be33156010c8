"""Options of `keras-atinet info`."""

SUMMARY = "Print the facts of a run or a model; without one, versions, devices and presets."
PATHS = ("model",)


def add_options(parser):
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a .keras file, a run folder or a preset"
    )
