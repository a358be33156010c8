"""Commands, run in this process."""

import contextlib
import faulthandler
import io
import signal
import sys
import traceback

from keras_atinet import cli

SECONDS = 60  # until a command counts as one that does not end


class Endless(BaseException):
    """A command does not end."""


@contextlib.contextmanager
def at_most(seconds=SECONDS):
    def stop(*_):
        raise Endless(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    # Libraries of C cannot be interrupted.
    faulthandler.dump_traceback_later(5 * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def run_command(*arguments):
    """The exit status and all that a command prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text), at_most():
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
    return status, text.getvalue()


def complaint(name, status, text, statuses=(0, 2)):
    """Yields what is wrong with the end of a command."""
    if status not in statuses:
        yield f"{name} ends with {status}:\n{text}"
    last = text.strip().splitlines()[-1:] or [""]
    if status and "Expected one of" not in text and "keras-atinet: error: " not in last[0]:
        yield f"{name} ends without an error of one line:\n{text}"


def formatted():
    return traceback.format_exc()
