import numpy as np

from keras_atinet.data.source import Source


class Selection(Source):
    """Some samples of a source.

    Args:
        source: `Source`.
        indices: sequence of ints, the samples, in order.
    """

    def __init__(self, source, indices):
        self.source = source
        self.split, self.image_size, self.tasks = source.split, source.image_size, source.tasks
        self._indices = [int(index) for index in indices]

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, index):
        return self.source[self._indices[self._position(index)]]

    def where(self, index):
        return self.source.where(self._indices[index])


def hold_out(source, share=0.2, blocks=10):
    """Splits a source in two: one to learn from, and one to choose settings by.

    The end of each of `blocks` equal stretches is held out. Neighbours are often pictures of one
    scene: taken one by one, they would be on both sides.

    Args:
        source: `Source`, the training split.
        share: float in (0, 1), the part to hold out. Defaults to 0.2.
        blocks: int, number of stretches. Defaults to 10.

    Returns:
        Two sources.

    Raises:
        ValueError: if one of them would be empty.

    Example:
        >>> train, validation = hold_out(Folder("nyuv2", "train"))
    """
    if len(source) * share < blocks:
        blocks = 1  # not one held-out sample for each stretch
    # Half a sample further, so that rounding does not decide.
    position = (np.arange(len(source)) + 0.5) * blocks / max(len(source), 1) % 1
    held = position > 1 - share
    if held.all() or not held.any():
        raise ValueError(
            "`hold_out` needs enough samples for two parts. "
            f"Received: {len(source)} samples, share={share}. Take more samples or another share."
        )
    return Selection(source, np.flatnonzero(~held)), Selection(source, np.flatnonzero(held))
