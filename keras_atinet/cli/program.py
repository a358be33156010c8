"""The command line: the choice of the backend, and errors."""

import contextlib
import importlib
import os
import pathlib
import signal
import sys
import warnings

from keras_atinet import deferral
from keras_atinet.cli.parser import build_parser, options_of
from keras_atinet.cli.paths import check_paths, visible
from keras_atinet.cli.quiet import quiet
from keras_atinet.settings import BACKENDS
from keras_atinet.stopping import exit_status, handling, raise_at_once

_USER_ERRORS = (ValueError, TypeError, OSError, ImportError)
_format_with_code = warnings.formatwarning
_NOBODY_READS = 141  # 128 + SIGPIPE, which Python ignores


def main(argv=None):
    """Runs one command.

    Args:
        argv: list of str, without the program's name. Defaults to `sys.argv[1:]`.

    Returns:
        int, the exit status: 0, 1 where a training met NaN, data have faults or a picture cannot be
        predicted, 2 after an error of the user's, 130 after Ctrl-C, 141 where nobody reads the
        output any more, 143 after SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    # Names of files may have characters that the terminal does not know, or that no one knows.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = build_parser().parse_args(argv)
    try:
        warnings.formatwarning = _format_warning
        with handling(raise_at_once, [signal.SIGTERM]):
            return _run(arguments, argv)
    except KeyboardInterrupt as interrupt:
        # There may be a bar on the line.
        start = "\n" if sys.stderr.isatty() else ""
        print(f"{start}keras-atinet: interrupted", file=sys.stderr)
        return exit_status(interrupt)
    except BrokenPipeError:
        # Whoever reads the output, `head` for instance, has seen enough. Nobody gets the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOBODY_READS
    except (*_USER_ERRORS, FloatingPointError) as error:
        debug = arguments.debug or os.environ.get("KERAS_ATINET_DEBUG") == "1"
        if debug or not (_is_check(error) or _is_of_system(error)):
            raise
        print(f"keras-atinet: error: {visible(str(error))}", file=sys.stderr)
        return 1 if isinstance(error, FloatingPointError) else 2
    finally:
        warnings.formatwarning = _format_with_code


def _run(arguments, argv):
    options = options_of(arguments.command)
    check_paths(arguments, options.PATHS)
    getattr(options, "check", lambda arguments: None)(arguments)
    _choose_backend(arguments)
    # They name no file; what is wrong with a picture becomes an error that does.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with deferral.importing():
        if deferral.deferred:
            with quiet():
                deferral.complete()
                if getattr(arguments, "tensorboard", False):
                    # Here its first lines are dropped. That it is missing is an error of training.
                    with contextlib.suppress(ImportError):
                        importlib.import_module("tensorflow")
        from keras_atinet.internals import tensorflow_only_if_imported

        command = importlib.import_module(f"keras_atinet.cli.{arguments.command}")
    with tensorflow_only_if_imported():
        return command.run(arguments, argv) or 0


def _choose_backend(arguments):
    required = getattr(options_of(arguments.command), "required_backend", lambda arguments: None)
    backend, source = arguments.backend or required(arguments), "of the run"
    if backend is None:
        backend, source = os.environ.get("KERAS_BACKEND"), "in the variable KERAS_BACKEND"
    if not backend:
        return
    if backend not in BACKENDS:
        raise ValueError(
            f"The backend {source} must be one of {BACKENDS}. Received: {backend!r}. "
            "Name one by `--backend`."
        )
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
    elif backend != (used := sys.modules["keras"].backend.backend()):
        # Only where Python code calls `main`.
        raise ValueError(
            f"The command needs the backend '{backend}', but Keras has been imported with another. "
            f"Received: '{used}'. Set the environment variable KERAS_BACKEND={backend} before."
        )


def _format_warning(message, category, *where):
    """A warning to the user, without the line of code that it comes from."""
    if category is UserWarning:
        return f"keras-atinet: warning: {visible(str(message))}\n"
    return _format_with_code(message, category, *where)


def _is_of_system(error):
    # Such as a file that may not be read; the error names it.
    return isinstance(error, OSError) and error.errno is not None and error.filename is not None


def _is_check(error):
    # Whether this package raised the error itself. Anything else deserves its traceback.
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    package = pathlib.Path(__file__).parents[1]
    return package in pathlib.Path(traceback.tb_frame.f_code.co_filename).parents
