"""Options of `keras-atinet data verify`."""

from keras_atinet.cli.options.data.shared import add_source, add_workers

SUMMARY = "Read every sample and list each fault."
DETAILS = "The exit status is 1 if there is a fault."
EXAMPLES = ("keras-atinet data verify nyuv2",)
PATHS = ("source",)


def add_options(parser):
    add_source(parser)
    add_workers(parser)
