"""Statistics of samples: sizes, ranges, classes, and the share of valid pixels."""

import numpy as np

from keras_atinet.data.kinds import kind_of

_KEPT_VALUES = 500  # of each sample, for medians
_NAMES_IN_LINE = 5


class Statistics:
    """Sizes, ranges, class shares and valid pixels of the samples that are added.

    Args:
        tasks: dict, task key -> facts, as in `Source.tasks`.

    Example:

    ```python
    statistics = Statistics(rooms.tasks)
    for sample in rooms:
        statistics.add(sample)
    print("\\n".join(statistics.lines()))
    ```
    """

    def __init__(self, tasks):
        self._image = _Image()
        self._tasks = {key: _COUNTERS[kind_of(key, facts)](facts) for key, facts in tasks.items()}

    def add(self, sample):
        """Takes a sample, a dict of arrays, into account."""
        self._image.add(sample["image"])
        for key, counter in self._tasks.items():
            if key in sample:
                counter.add(sample[key])

    def size(self):
        """`"288 x 384 pixels"`, or the smallest and the largest height and width."""
        low, high = np.min(self._image.sizes, axis=0), np.max(self._image.sizes, axis=0)
        text = " x ".join(map(str, low))
        return (
            f"{text} pixels" if (low == high).all() else f"{text} to {high[0]} x {high[1]} pixels"
        )

    def lines(self):
        """List of str: one line or more for the image and for each task."""
        total = len(self._image.sizes)
        lines = [f"{'image':16}{self._image.text()}"]
        for key, counter in self._tasks.items():
            if not counter.samples:
                lines.append(f"{key:16}no sample has it")
                continue
            partly = f"in {counter.samples} of {total}, " if counter.samples < total else ""
            known = f"{partly}{100 * counter.known / counter.pixels:.1f} % of the pixels known"
            first, *others = counter.texts()
            lines.append(f"{key:16}{known}; {first}")
            lines.extend(f"{'':16}{text}" for text in others)
        return lines


class _Image:
    def __init__(self):
        self.sizes, self._lows, self._highs, self._means = [], [], [], []

    def add(self, image):
        self.sizes.append(image.shape[:2])
        self._lows.append(image.min())
        self._highs.append(image.max())
        self._means.append(image.mean(axis=(0, 1)))

    def text(self):
        mean = ", ".join(f"{value:.2f}" for value in np.mean(self._means, axis=0))
        return f"{min(self._lows):.2f} to {max(self._highs):.2f}, mean colour ({mean})"


class _Counter:
    samples = pixels = known = 0

    def __init__(self, facts):
        self.facts = facts

    def _count(self, known):
        self.samples += 1
        self.pixels += known.size
        self.known += int(known.sum())


class ClassCounter(_Counter):
    """Counts the labels of the samples that are added.

    Args:
        facts: dict, what a source says about the task.

    Attributes:
        counts: int array, the pixels of each class.
        around: int array, the known pixels of the samples that have the class.
    """

    def __init__(self, facts):
        super().__init__(facts)
        self.counts = self.around = np.zeros(facts.get("num_classes", 0), int)

    def add(self, labels):
        known = labels >= 0
        self._count(known)
        counts = np.bincount(labels[known], minlength=len(self.counts))
        around = np.where(counts > 0, counts.sum(), 0)
        counts[: len(self.counts)] += self.counts
        around[: len(self.around)] += self.around
        self.counts, self.around = counts, around

    def texts(self):
        counts, num_classes = self.counts, len(self.counts)
        names = self.facts.get("class_names") or [f"class {i}" for i in range(num_classes)]
        shares = 100 * counts / max(self.known, 1)
        ranked = np.argsort(-shares, kind="stable")
        shown = [f"{names[index]} {shares[index]:.1f} %" for index in ranked if counts[index]]
        ignored = self.facts.get("ignore_class")
        absent = [names[index] for index in ranked if not counts[index] and index != ignored]
        yield f"{num_classes} classes, shares of the known pixels:"
        for first in range(0, len(shown), _NAMES_IN_LINE):
            yield ", ".join(shown[first : first + _NAMES_IN_LINE])
        if absent:
            yield f"nowhere: {', '.join(absent)}"


class _Values(_Counter):
    unit = ""

    def __init__(self, facts):
        super().__init__(facts)
        self._lows, self._highs, self._kept = [], [], []

    def add(self, values):
        known = self._is_known(values)
        self._count(known)
        values = values[known]
        if values.size:
            self._lows.append(values.min())
            self._highs.append(values.max())
            self._kept.append(values.ravel()[:: max(1, values.size // _KEPT_VALUES)])

    def _is_known(self, values):
        return np.ones(values.shape[:2], bool)

    def texts(self):
        if not self._kept:
            return ["no values"]
        median = np.median(np.concatenate(self._kept))
        span = f"{min(self._lows):.2f} to {max(self._highs):.2f}{self.unit}"
        return [f"{span}, median about {median:.2f}"]


class _Depth(_Values):
    unit = " m"

    def _is_known(self, values):
        return values[..., 0] > 0


class _Normals(_Counter):
    def __init__(self, facts):
        super().__init__(facts)
        self._sum = np.zeros(3)

    def add(self, normals):
        self._count(normals.any(axis=-1))
        self._sum += normals.sum(axis=(0, 1), dtype=np.float64)

    def texts(self):
        mean = ", ".join(f"{value:.2f}" for value in self._sum / max(self.known, 1))
        return [f"mean direction ({mean})"]


_COUNTERS = {
    "segmentation": ClassCounter,
    "depth": _Depth,
    "normal": _Normals,
    "quantity": _Values,
}
