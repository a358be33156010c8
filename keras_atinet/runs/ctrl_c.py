import keras

from keras_atinet.stopping import SIGNALS, handling, say


class Interruption(keras.callbacks.Callback):
    """Lets Ctrl-C and SIGTERM take effect between two batches, so that no file is half written.

    The second one takes effect at once. Use as a context manager around `fit`.

    Raises:
        KeyboardInterrupt: on Ctrl-C; on SIGTERM `Terminated`, derived from it.
    """

    def __enter__(self):
        self._error = None
        self._handling = handling(self._on_signal)
        self._handling.__enter__()
        return self

    def __exit__(self, kind, *exception):
        self._handling.__exit__(kind, *exception)
        if kind is None:
            self._check()  # after the last batch

    def __deepcopy__(self, memo):
        return self  # KerasTuner copies the callbacks of each trial

    def _on_signal(self, number, frame):
        if self._error is not None:
            raise SIGNALS[number]
        self._error = SIGNALS[number]
        say("Stopping after this step (a second time: at once).")

    def _check(self):
        if self._error is not None:
            raise self._error

    # Not at its end, for which Keras would wait for the device and fetch the logs of each batch.
    def on_train_batch_begin(self, batch, logs=None):
        self._check()

    def on_test_batch_begin(self, batch, logs=None):
        self._check()
