"""Whether the imports of the package wait until the command line has read its arguments.

Importing Keras and a backend takes seconds; `keras-atinet --help` or a typo should not. And Keras
fixes its backend when it is imported, which `--backend` chooses.
"""

import contextlib
import importlib
import os
import signal
import sys

from keras_atinet.stopping import handling

_SCRIPTS = ("keras-atinet", "keras-atinet.exe", "keras-atinet-script.py")


def is_command(argv, orig_argv):
    """Whether Python was started as `keras-atinet` or `python -m keras_atinet`.

    Args:
        argv: list of str, `sys.argv` while the package is imported.
        orig_argv: list of str, `sys.orig_argv`. It is not enough to look at `argv`: a child process
            of `multiprocessing` has that of its parent, but needs all imports at once.
    """
    if not argv or len(argv) > len(orig_argv):
        return False
    started = orig_argv[-len(argv)]
    if argv[0] == "-m":
        return started.removeprefix("-m") == "keras_atinet"
    return started == argv[0] and os.path.basename(started) in _SCRIPTS


started = is_command(sys.argv, sys.orig_argv)
deferred = started


def complete():
    """Imports what `import keras_atinet` does, if that was deferred."""
    global deferred
    if deferred:
        deferred = False
        importlib.reload(sys.modules["keras_atinet"])


@contextlib.contextmanager
def importing():
    """Lets Ctrl-C and SIGTERM end the process while libraries are imported, if it is the command's.

    There is nothing to lose yet. The exception of a signal would get lost in a callback of a
    library, or crash one that is written in C.
    """
    with handling(signal.SIG_DFL) if started else contextlib.nullcontext():
        yield
