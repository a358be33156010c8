"""Finds every fault of a dataset."""

import functools
import hashlib
import threading
from collections import Counter

import numpy as np

from keras_atinet.data.batching.parallel import in_order
from keras_atinet.data.kinds import kind_of
from keras_atinet.data.opening import open_source, recognize
from keras_atinet.data.preparation.problems import problems
from keras_atinet.data.sources.folder import Folder
from keras_atinet.data.sources.target_files import as_classes, stored_labels
from keras_atinet.files import one_line


class Verification:
    """Reads every sample and collects the faults, instead of stopping at the first.

    A fault is a file that cannot be read, is of the wrong size or kind or has impossible values, a
    target without a picture, and a picture that occurs twice, within a split or in two of them.

    Args:
        where: str or path of the data, as for `open_source`.
        tasks: sequence of task keys, or None for all.
        workers: int, threads that read.
        options: further arguments of the source.

    Attributes:
        faults: list of str, each with the place and what is wrong there.
        notes: list of str, the `Source.notes` of the splits.
        turned: list of path, the pictures that are turned by their EXIF orientation though neither
            sizes nor `dataset.json` tell whether their targets are upright.
        samples: dict, split -> number of samples.
        labels: dict, split -> dict, task key -> number of samples that have the task.
        pixels: dict, split -> `Counter`, task key -> number of pixels that have a class label.
        ignored: dict, split -> dict, task key -> `Counter`, ignored label -> number of its pixels.
            The labels are those of the files in a folder of images, and -1 in any other data.

    Example:

    ```python
    verification = Verification("nyuv2")
    verification.read("train")
    print("\\n".join(verification.faults))
    ```
    """

    def __init__(self, where, tasks=None, workers=2, **options):
        self._where, self._tasks, self._workers = where, tasks, workers
        self._options = options
        self._first = {}  # fingerprint of a picture -> its place
        self.faults, self.notes, self.turned = [], [], []
        self.samples, self.labels = {}, {}
        self.pixels, self.ignored = {}, {}
        self._lock = threading.Lock()

    def read(self, split, progress=None):
        """Reads a split.

        Args:
            split: str or None, its name.
            progress: optional function of two int, the samples read and those that there are.
        """
        self.samples[split], self.labels[split] = 0, {}
        self.pixels[split], self.ignored[split] = Counter(), {}
        try:
            source = self._open(split)
        except (ValueError, OSError) as error:
            self.faults.append(str(error))
            return
        self.samples[split] = len(source)
        self.notes.extend(note for note in source.notes if note not in self.notes)
        counts = Counter()

        def examine(index):
            sample, errors = source.read(index)
            faults = [_text(source, index, error) for error in errors]
            if not isinstance(source, _LenientFolder):
                for key in self.ignored[split].keys() & sample.keys():
                    self._count(split, key, sample[key], sample[key])
            if "image" in sample:
                found = problems(sample, tasks).values()
                faults += [f"{source.where(index)}: {text}" for text in found]
            return faults, _fingerprint(sample), sample.keys() - {"image"}

        tasks = source.tasks
        classes = [key for key, facts in tasks.items() if kind_of(key, facts) == "segmentation"]
        self.ignored[split] = {key: Counter() for key in classes}
        results = in_order(examine, range(len(source)), self._workers)
        for index, (found, fingerprint, keys) in enumerate(results):
            self.faults.extend(found)
            counts.update(keys)
            if fingerprint:
                self._compare(fingerprint, source.where(index), split)
            if progress:
                progress(index + 1, len(source))
        if isinstance(source, _LenientFolder):
            self.turned.extend(sorted(source.turned))
        self.labels[split] = {key: counts[key] for key in tasks}

    def _open(self, split):
        if recognize(self._where).source is not Folder:
            return open_source(self._where, split, self._tasks, **self._options)
        count = functools.partial(self._count, split)
        source = _LenientFolder(self._where, split, self._tasks, count)
        self.faults.extend(source.faults)
        return source

    def _count(self, split, key, stored, labels):
        values, counts = np.unique(stored[labels < 0], return_counts=True)
        with self._lock:
            self.pixels[split][key] += labels.size
            self.ignored[split][key].update(
                dict(zip(values.tolist(), counts.tolist(), strict=True))
            )

    def _compare(self, fingerprint, place, split):
        place = f"{place} of split {split!r}"
        first = self._first.setdefault(fingerprint, place)
        if first is not place:
            self.faults.append(f"The same picture occurs twice: {first} and {place}.")


class _LenientFolder(Folder):
    # Collects the faults of file names instead of refusing them, and counts the labels.
    def __init__(self, path, split, tasks, count):
        self.faults, self.turned, self._count = [], set(), count
        super().__init__(path, split, tasks)

    def _read(self, key, path):
        facts = self._facts[key]
        if facts["kind"] != "segmentation":
            return super()._read(key, path)
        stored = stored_labels(path)
        labels = as_classes(stored, facts, path)
        self._count(key, stored, labels)
        return labels

    def _doubt_turn(self, name):
        self.turned.add(self._images[name])

    def _refuse(self, text):
        self.faults.append(text)

    def _count_classes(self, paths, facts):
        counts = [1]
        for path in paths:
            try:
                counts.append(super()._count_classes([path], facts))
            except ValueError:
                continue  # read again, and reported, with its sample
        return max(counts)


def _text(source, index, error):
    if isinstance(error, ValueError):
        return str(error)
    return f"{source.where(index)}: {type(error).__name__}: {one_line(error)}"


def _fingerprint(sample):
    image = sample.get("image")
    return image is not None and hashlib.blake2b(image.tobytes(), digest_size=16).digest()
