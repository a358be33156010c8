"""Parts of a source."""

import numpy as np

from keras_atinet.data.source import Source

_HELD_OUT_PLACES = 10


class Part(Source):
    """Some samples of a source.

    Args:
        source: a `Source`.
        indices: sequence of int.
    """

    def __init__(self, source, indices):
        self.source, self.indices = source, [int(index) for index in indices]
        self.split, self.image_size, self.tasks = source.split, source.image_size, source.tasks
        self.notes = source.notes

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.source[self.indices[self._position(index)]]

    def read(self, index):
        return self.source.read(self.indices[self._position(index)])

    def where(self, index):
        return self.source.where(self.indices[index])


class Subset(Part):
    """At most `size` samples of a source, evenly spaced."""

    def __init__(self, source, size):
        count = min(size, len(source))
        super().__init__(source, np.linspace(0, len(source) - 1, count).round().astype(int))


def hold_out(source, share):
    """Splits a source in two: samples to train on, and samples to hold out.

    Held-out samples are taken as runs of neighbours at ten places: neighbours often show the same
    scene, which should not be on both sides. The choice is always the same.

    Args:
        source: a `Source` of at least two samples.
        share: float in (0, 1), the share to hold out, at least one sample.

    Returns:
        Two `Part`.

    Raises:
        ValueError: if `share` is not in (0, 1), or there are fewer than two samples.
    """
    if not 0 < share < 1 or len(source) < 2:
        raise ValueError(
            "A part is held out of at least two samples, a share in (0, 1). "
            f"Received: {len(source)} samples, share={share}. Give more samples, another share, or "
            "a split of its own."
        )
    count = min(max(1, round(share * len(source))), len(source) - 1)
    places = np.array_split(np.arange(len(source)), min(count, _HELD_OUT_PLACES))
    counts = [len(part) for part in np.array_split(np.arange(count), len(places))]
    held_out = {int(i) for place, n in zip(places, counts, strict=True) for i in place[-n:]}
    kept = [index for index in range(len(source)) if index not in held_out]
    return Part(source, kept), Part(source, sorted(held_out))
