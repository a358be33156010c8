"""Being told to stop: SIGTERM, which `kill` and schedulers of jobs send, works like Ctrl-C."""

import contextlib
import os
import signal
import threading


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM; what handles Ctrl-C handles it too."""


SIGNALS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


def exit_status(interrupt):
    """What a shell expects of a process that a signal ended: 130 or 143."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


@contextlib.contextmanager
def handling(on_signal, numbers=tuple(SIGNALS)):
    """Handles signals by a function of their number and the frame, in the main thread only.

    One that is ignored stays so, Ctrl-C in a job that a shell runs in the background for instance.
    """
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            # `None` is a handler in C, which could not be put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                previous[number] = signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def raise_at_once(number, frame):
    """Handles a signal by its exception, as Python does Ctrl-C."""
    raise SIGNALS[number]


def say(line):
    """Writes a line to a terminal, if standard error is one; within the handler of a signal."""
    # `print` may be what the signal interrupted, and must not be called anew.
    if os.isatty(2):
        os.write(2, f"\r\x1b[K{line}\r\n".encode())
