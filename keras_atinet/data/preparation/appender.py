"""Arrays on disk that grow sample by sample."""

import contextlib
import io
import math
import os

import numpy as np

from keras_atinet.data.kinds import array_kind
from keras_atinet.data.preparation.description import DESCRIPTION, PRESENT, array_form
from keras_atinet.data.preparation.packing import pack
from keras_atinet.files import (
    check_room,
    explaining,
    make_folder,
    read_json,
    remove_unfinished,
    write_json,
)

_SYNC_SAMPLES = 32


class Appender:
    """Appends samples to the arrays of a split, after those already safe on the disk.

    Use as a context manager. `prepared.json` counts, under `"written"`, the samples that are safe:
    what follows in the arrays may be incomplete, and is written again.

    Args:
        folder: `pathlib.Path` of the folder to write.
        plan: dict, the description of the split.

    Attributes:
        written: int, samples so far.
    """

    def __init__(self, folder, plan):
        self._folder, self._plan = folder, plan
        self._files = {}
        self._forms = {key: array_form(key, plan) for key in ("image", *plan["tasks"], PRESENT)}
        self.written = self._safe = 0
        make_folder(folder)
        remove_unfinished(folder)
        if (folder / DESCRIPTION).is_file():
            self.written = self._safe = read_json(folder / DESCRIPTION)["written"]
        check_room(folder, self._missing_bytes())
        if not self.written:
            self._sync()
        with explaining(folder):
            for key, (shape, dtype) in self._forms.items():
                self._files[key] = _open(folder / f"{key}.npy", shape, dtype, self.written)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            # Full disks stay full: what stopped the writing is the error to show.
            with contextlib.suppress(OSError) if exception[0] else contextlib.nullcontext():
                self._sync()
        finally:
            for file in self._files.values():
                with contextlib.suppress(OSError):  # of what `_sync` could not write
                    file.close()

    def append(self, sample):
        """Writes one sample: a dict of arrays, of which all but the image may be absent."""
        tasks = self._plan["tasks"]
        arrays = {PRESENT: np.array([key in sample for key in tasks], bool)}
        for key in ("image", *tasks):
            shape, dtype = self._forms[key]
            if key in sample:
                arrays[key] = pack(sample[key], array_kind(key, tasks), dtype)
            else:
                arrays[key] = np.zeros(shape[1:], dtype)
        with explaining(self._folder, self._missing_bytes()):
            for key, array in arrays.items():
                self._files[key].write(array.tobytes())
        self.written += 1
        if self.written - self._safe >= _SYNC_SAMPLES:
            self._sync()

    def _sync(self):
        with explaining(self._folder, self._missing_bytes()):
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
        write_json(self._folder / DESCRIPTION, {**self._plan, "written": self.written})
        self._safe = self.written

    def _missing_bytes(self):
        sizes = [math.prod(shape[1:]) * dtype.itemsize for shape, dtype in self._forms.values()]
        return (self._plan["samples"] - self._safe) * sum(sizes)


def _open(path, shape, dtype, written):
    # A .npy file that is to have a shape, positioned after its first samples.
    header = io.BytesIO()
    facts = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, facts)
    file = path.open("r+b" if written else "wb")
    if not written:
        file.write(header.getvalue())
    file.seek(len(header.getvalue()) + written * math.prod(shape[1:]) * dtype.itemsize)
    file.truncate()
    return file
