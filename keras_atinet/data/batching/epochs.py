"""Where in the stream of batches a pass or a `fit` begins."""

import keras


class Epochs:
    """The epoch that comes next.

    All batches form one endless stream: pass after pass over the samples. Epoch `e` is pass `e`,
    or, in a `fit` with `steps_per_epoch=s`, the batches from `e * s` on to `(e + 1) * s`.

    Attributes:
        next: int, the epoch that the next `fit`, or other pass, begins with.
    """

    def __init__(self, first):
        self.next = first

    def follow(self, initial_epoch):
        """A callback that keeps `next` in step with the epochs of a `fit` about to begin.

        It undoes what batches that Keras takes to build the model, or passes that a callback
        makes, change in it. An epoch that an error breaks off before its last batch remains the
        next one.
        """
        offset = self.next - initial_epoch

        def come_to(epoch):
            self.next = offset + epoch

        return keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: come_to(epoch),
            on_epoch_end=lambda epoch, logs: come_to(epoch + 1),
        )
