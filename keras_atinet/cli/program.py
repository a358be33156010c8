"""The command line: its parser, the choice of the backend, and errors."""

import argparse
import os
import pathlib
import signal
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from keras_atinet.cli import evaluate, export, info, predict, report, reproduce, search, train
from keras_atinet.cli.data import inspect, prepare, verify
from keras_atinet.cli.options import add_common
from keras_atinet.internals import tensorflow_only_if_imported
from keras_atinet.stopping import exit_status, handling, raise_at_once

_USER_ERRORS = (ValueError, TypeError, OSError, ImportError)


def main(argv=None):
    """Runs one command.

    Args:
        argv: list of str, without the program's name. Defaults to `sys.argv[1:]`.

    Returns:
        int, the exit status: 0, 1 where a training met NaN, 2 after an error of the user's, 130
        after Ctrl-C, 143 after SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = build_parser().parse_args(argv)
    try:
        _use_backend(arguments, argv)
        with handling(raise_at_once, [signal.SIGTERM]), tensorflow_only_if_imported():
            return arguments.run(arguments, argv) or 0
    except KeyboardInterrupt as interrupt:
        print("keras-atinet: interrupted", file=sys.stderr)
        return exit_status(interrupt)
    except (*_USER_ERRORS, FloatingPointError) as error:
        debug = arguments.debug or os.environ.get("KERAS_ATINET_DEBUG") == "1"
        if debug or not _is_check(error):
            raise
        print(f"keras-atinet: error: {error}", file=sys.stderr)
        return 1 if isinstance(error, FloatingPointError) else 2


def _use_backend(arguments, argv):
    # Keras fixes its backend when it is imported, so another one needs a new process.
    backend = arguments.backend or arguments.required_backend(arguments)
    if backend in (None, keras.backend.backend()):
        return
    sys.stdout.flush()
    command = [sys.executable, "-m", "keras_atinet", *argv]
    os.execve(sys.executable, command, {**os.environ, "KERAS_BACKEND": backend})


def _is_check(error):
    # Whether this package raised the error itself. Anything else deserves its traceback.
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    package = pathlib.Path(__file__).parents[1]
    return package in pathlib.Path(traceback.tb_frame.f_code.co_filename).parents


def build_parser():
    parser = argparse.ArgumentParser(
        prog="keras-atinet",
        description="Multi-task dense prediction: train, evaluate and use ATI-Net and its peers.",
        epilog="`keras-atinet COMMAND --help` has the options of a command.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_commands(subparsers, train, evaluate, predict, export, info)
    text = "Look at data, check them, or write them in a fast form."
    data = subparsers.add_parser("data", help=text, description=text)
    data_subparsers = data.add_subparsers(required=True, metavar="COMMAND")
    _add_commands(data_subparsers, inspect, verify, prepare)
    _add_commands(subparsers, reproduce, report, search)
    return parser


def _add_commands(subparsers, *modules):
    # Each module is a file of the command's name with `SUMMARY`, `add_options` and `run`.
    for module in modules:
        name = module.__name__.rpartition(".")[2]
        parser = subparsers.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        parser.set_defaults(run=module.run, required_backend=lambda arguments: None)
        add_common(parser)
        module.add_options(parser)
