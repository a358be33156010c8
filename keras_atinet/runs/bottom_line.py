"""What is under way, on the last line of a terminal."""

import os
import sys
import threading
import time

import keras

_INTERVAL = 0.2


class BottomLine:
    """The last line of a terminal, below all that is printed.

    A context manager. While it lasts, whoever writes to `sys.stdout` or `sys.stderr` erases the
    line first, so that a warning amid an epoch has a line of its own. Where standard output is no
    terminal, nothing is shown.
    """

    def __init__(self):
        self.is_shown = _is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"
        self._lock = threading.RLock()  # other threads may warn
        self._bar, self._drawing, self._is_empty = None, False, True

    def __enter__(self):
        self._before = sys.stdout, sys.stderr
        if self.is_shown:
            sys.stdout, sys.stderr = (
                _Above(stream, self) if _is_terminal(stream) else stream for stream in self._before
            )
        return self

    def __exit__(self, *exception):
        self.erase()
        sys.stdout, sys.stderr = self._before

    def text(self, text):
        """Shows a text."""
        if self.is_shown:
            self._bar = None
            with self._lock:
                self.erase()
                self._draw(lambda: sys.stdout.write(text))

    def begin(self, num_steps, unit="step"):
        """Shows a progress bar from the next `update` on; `num_steps` is None if unknown."""
        self._bar = keras.utils.Progbar(num_steps, unit_name=unit, interval=0)
        self._latest = None

    def update(self, num_steps):
        """Shows how many steps are done, a few times a second."""
        if not self.is_shown or self._bar is None:
            return
        now = time.monotonic()
        is_first = self._latest is None
        if is_first or now - self._latest > _INTERVAL:
            self._latest = now
            with self._lock:
                if is_first:
                    self.erase()
                # Finalized, it would stay on the line.
                self._draw(lambda: self._bar.update(num_steps, finalize=False))

    def erase(self):
        with self._lock:
            if not self._is_empty:
                self._draw(lambda: sys.stdout.write("\r\x1b[K"))
                self._is_empty = True

    def _draw(self, function):
        self._drawing = True
        try:
            function()
            sys.stdout.flush()
        finally:
            self._drawing = False
        self._is_empty = False


class _Above:
    """A stream to a terminal that erases the last line before it writes."""

    def __init__(self, stream, line):
        self._stream, self._line = stream, line

    def write(self, text):
        with self._line._lock:
            if not self._line._drawing:
                self._line.erase()
            return self._stream.write(text)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def _is_terminal(stream):
    return hasattr(stream, "isatty") and stream.isatty()
