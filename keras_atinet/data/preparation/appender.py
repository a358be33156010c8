"""Arrays on disk that grow sample by sample."""

import contextlib
import io
import json
import math
import os

import numpy as np

from keras_atinet.data.kinds import array_kind
from keras_atinet.data.preparation.description import DESCRIPTION, PRESENT, array_form
from keras_atinet.data.preparation.packing import pack
from keras_atinet.files import write_json

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
        self._files, self._forms = {}, {}
        self.written = 0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / DESCRIPTION).is_file():
            self.written = json.loads((folder / DESCRIPTION).read_text("utf-8"))["written"]
        else:
            self._sync()
        self._safe = self.written
        for key in ("image", *plan["tasks"], PRESENT):
            shape, dtype = self._forms[key] = array_form(key, plan)
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
                file.close()

    def append(self, sample):
        """Writes one sample: a dict of arrays, of which all but the image may be absent."""
        tasks = self._plan["tasks"]
        for key in ("image", *tasks):
            shape, dtype = self._forms[key]
            if key in sample:
                array = pack(sample[key], array_kind(key, tasks), dtype)
            else:
                array = np.zeros(shape[1:], dtype)
            self._files[key].write(array.tobytes())
        present = np.array([key in sample for key in tasks], bool)
        self._files[PRESENT].write(present.tobytes())
        self.written += 1
        if self.written - self._safe >= _SYNC_SAMPLES:
            self._sync()

    def _sync(self):
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        write_json(self._folder / DESCRIPTION, {**self._plan, "written": self.written})
        self._safe = self.written


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
