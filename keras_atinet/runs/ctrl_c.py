import signal
import threading

import keras


class Interruption(keras.callbacks.Callback):
    """Lets Ctrl-C take effect between two batches, so that no file is left half written.

    A second Ctrl-C takes effect at once. Use as a context manager around `fit`.
    """

    def __enter__(self):
        self._requested = False
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *exception):
        if self._is_main:
            signal.signal(signal.SIGINT, self._previous)

    def _on_signal(self, number, frame):
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True

    # Not at its end, for which Keras would wait for the device and fetch the logs of each batch.
    def on_train_batch_begin(self, batch, logs=None):
        if self._requested:
            raise KeyboardInterrupt

    def on_test_batch_begin(self, batch, logs=None):
        if self._requested:
            raise KeyboardInterrupt
