"""Counts the epochs of a data set."""

PEEK = 2  # batches that Keras may take for a look before it trains


class Epochs:
    """The epoch that the next pass over the batches is.

    A pass counts as soon as it has handed out more than two batches, or all: Keras takes one or
    two to build a model.

    Args:
        first: int, the epoch of the first pass.
        num_batches: int, batches in an epoch.
    """

    def __init__(self, first, num_batches):
        self.next = first
        self._counts_from = min(PEEK, num_batches - 1)

    def reached(self, epoch, number):
        """To be told that a pass, that of `epoch`, handed out batch `number`."""
        if number >= self._counts_from:
            self.next = int(epoch) + 1
