"""The parser of the command line: help that fits the terminal, errors that guess what was meant."""

import argparse
import difflib
import importlib
import re
import shutil
import textwrap

from keras_atinet.cli.options.shared import add_common
from keras_atinet.version import __version__

_COMMANDS = ("train", "evaluate", "predict", "demo", "serve", "export", "report", "info")
_COMMANDS += ("data", "search", "reproduce")
_DATA_COMMANDS = ("data.inspect", "data.verify", "data.prepare")
_MAX_WIDTH = 100
_NO_OPTION = re.compile(r"-|-\.?\d.*|.*\s.*", re.DOTALL)  # as argparse sees it


def build_parser():
    """The parser of all commands. `command` of what it returns is the module in `cli` to run."""
    parser = _Parser(
        prog="keras-atinet",
        description="Multi-task dense prediction: train, evaluate and use ATI-Net and its peers.",
        epilog="keras-atinet COMMAND --help shows the options of a command.",
    )
    data = _add_commands(parser, _COMMANDS)["data"]
    _add_commands(data, _DATA_COMMANDS)
    parser.commands += data.commands
    for group in (parser.add_general(), data.add_general()):
        group.add_argument(
            "-V",
            "--version",
            action="version",
            version=f"keras-atinet {__version__}",
            help="show the version",
        )
    return parser


def options_of(command):
    """The module with the options of a command: `SUMMARY` and `add_options`; `PATHS`, the names of
    those that must be paths of what is there.

    Where the command has them, also `DETAILS` and `EXAMPLES`, for its help, and the functions of
    its arguments `check`, which raises before Keras is imported, and `required_backend`.
    """
    return importlib.import_module(f"keras_atinet.cli.options.{command}")


def _add_commands(parser, commands):
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", prog=parser.prog)
    parser.commands = [command.replace(".", " ") for command in commands]
    parser.usage = f"{parser.prog} [OPTIONS] COMMAND ..."
    parsers = {}
    for command in commands:
        options, name = options_of(command), command.rpartition(".")[2]
        texts = [options.SUMMARY, getattr(options, "DETAILS", "")]
        examples = textwrap.indent("\n".join(getattr(options, "EXAMPLES", ())), "  ")
        parsers[name] = subparsers.add_parser(
            name,
            help=options.SUMMARY,
            description="\n\n".join(textwrap.fill(text, _width()) for text in texts if text),
            epilog=examples and f"examples:\n{examples}",
        )
        if hasattr(options, "add_options"):
            parsers[name].set_defaults(command=command)
            options.add_options(parsers[name])
            add_common(parsers[name].add_general())
            parsers[name].usage = _usage(parsers[name])
    return parsers


def _usage(parser):
    # What must be given; all options would fill half a page.
    words = [parser.prog, "[OPTIONS]"]
    for action in parser._actions:
        name = action.metavar or "|".join(map(str, action.choices or ()))
        if not action.option_strings:
            words.append(
                {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} [{name} ...]"}.get(
                    action.nargs, name
                )
            )
        elif action.required:
            words.append(f"{action.option_strings[0]} {name}")
    return " ".join(words)


def _formatter(prog):
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=_width())


def _width():
    return min(shutil.get_terminal_size().columns - 2, _MAX_WIDTH)


class _Parser(argparse.ArgumentParser):
    commands = ()

    def __init__(self, **kwargs):
        super().__init__(formatter_class=_formatter, add_help=False, **kwargs)

    def add_general(self):
        """Adds `--help` to a last group of options, and returns it."""
        group = self.add_argument_group("general")
        group.add_argument("-h", "--help", action="help", help="show this help")
        return group

    def parse_known_args(self, args=None, namespace=None):
        if not args and self.commands:
            self.print_help()
            # A script that lost its arguments should not seem to have succeeded.
            self.exit(2)
        # First: argparse would rather miss a required option than see that its name is misspelt.
        self._check_options(args)
        arguments, unknown = super().parse_known_args(args, namespace)
        # Here, not at the top, where the usage of another parser would be printed.
        if unknown:
            self.error(f"unknown arguments. Received: {' '.join(unknown)}")
        return arguments, unknown

    def error(self, message):
        usage = self.format_usage()
        hint = f"{self.prog} --help shows what it takes."
        self.exit(2, f"{usage}{self.prog}: error: {message}\n{hint}\n")

    def _check_options(self, args):
        known = self._option_string_actions
        for argument in args:
            name = argument.split("=")[0]
            if argument == "--" or (self.commands and not argument.startswith("-")):
                return  # What follows is no option, or one of the command.
            if not argument.startswith("-") or _NO_OPTION.fullmatch(argument):
                continue
            if not any(option.startswith(name) for option in known):
                self.error(f"unknown option. Received: {name}.{_guess(name, known)}")

    def _check_value(self, action, value):
        # argparse asks this of every argument with choices. Its own words have no guess.
        if action.nargs == argparse.PARSER and value not in action.choices:
            guess = _guess(value, self.commands) or f" Expected one of {', '.join(self.commands)}."
            self.error(f"unknown command. Received: {value}.{guess}")
        if action.choices is not None and value not in action.choices:
            names = list(map(str, action.choices))
            message = f"must be one of {', '.join(names)}. Received: {value}."
            raise argparse.ArgumentError(action, message + _guess(str(value), names))


def _guess(word, names):
    # Also by first letters: --lr for --learning-rate.
    word = _plain(word)
    found = difflib.get_close_matches(word, map(_plain, names), n=1)
    near = [name for name in names if _plain(name) in found or word == _first_letters(name)]
    return f" Did you mean {near[0]}?" if near else ""


def _plain(name):
    return name.lstrip("-").replace("_", "-").lower()


def _first_letters(name):
    return "".join(part[:1] for part in _plain(name).split("-"))
