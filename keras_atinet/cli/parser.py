"""The parser of the command line."""

import argparse
import importlib

from keras_atinet.cli.options.shared import add_common

_COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "export",
    "info",
    "data",
    "reproduce",
    "report",
    "search",
)
_DATA_COMMANDS = ("data.inspect", "data.verify", "data.prepare")


def build_parser():
    """The parser of all commands. `command` of what it returns is the module in `cli` to run."""
    parser = argparse.ArgumentParser(
        prog="keras-atinet",
        description="Multi-task dense prediction: train, evaluate and use ATI-Net and its peers.",
        epilog="`keras-atinet COMMAND --help` has the options of a command.",
    )
    subparsers = _add_commands(parser, _COMMANDS)
    _add_commands(subparsers["data"], _DATA_COMMANDS)
    return parser


def options_of(command):
    """The module with the options of a command: `SUMMARY` and `add_options`.

    If the command needs a backend, also `required_backend`, of the arguments.
    """
    return importlib.import_module(f"keras_atinet.cli.options.{command}")


def _add_commands(parser, commands):
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    parsers = {}
    for command in commands:
        options, name = options_of(command), command.rpartition(".")[2]
        parsers[name] = subparsers.add_parser(
            name, help=options.SUMMARY, description=options.SUMMARY
        )
        if hasattr(options, "add_options"):
            parsers[name].set_defaults(command=command)
            add_common(parsers[name])
            options.add_options(parsers[name])
    return parsers
