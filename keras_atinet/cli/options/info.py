"""Options of `keras-atinet info`."""

SUMMARY = "Print versions, devices, and the facts of a model."


def add_options(parser):
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a .keras file or a run folder")
