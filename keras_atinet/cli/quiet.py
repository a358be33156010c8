"""Keeps the lines that TensorFlow writes when it starts from the terminal."""

import contextlib
import os
import re
import sys
import tempfile

_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
# Information, warnings and errors of C++, for instance that there is no GPU.
_NOISE = re.compile(
    rb"[IWE]\d{4} \d\d:\d\d:\d+\.\d+ +\d+ \S+:\d+\] |\d{4}-\d\d-\d\d \d\d:\S+: [IWE] \S+:\d+\] |"
    rb"WARNING: All log messages before absl::InitializeLog|To enable the following instructions: "
)


@contextlib.contextmanager
def quiet():
    """While this context lasts, drops lines of TensorFlow's C++ from the standard error.

    Some are written before TensorFlow looks at the variable of its own. Other lines come through
    at the end. Nothing changes where the user has set that variable.
    """
    with contextlib.ExitStack() as stack:
        if _VARIABLE not in os.environ:
            os.environ[_VARIABLE] = "3"
            # No place for a file: rather the lines than no command.
            with contextlib.suppress(OSError):
                stack.enter_context(_filtered())
        yield


@contextlib.contextmanager
def _filtered():
    if sys.stderr is None:  # Closed.
        yield
        return
    with tempfile.TemporaryFile() as written:
        kept = os.dup(2)
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            written.seek(0)
            for line in written:
                if not _NOISE.match(line):
                    os.write(2, line)
