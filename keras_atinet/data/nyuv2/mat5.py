"""Reads small files of MATLAB 5 to 7 (not 7.3, which are HDF5).

SciPy reads them too, but trusts what they say: a damaged file can end the process.
"""

import math
import struct
import zlib

import numpy as np

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_DTYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"}
_DTYPES |= {12: "<i8", 13: "<u8"}
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}
_CELLS, _STRUCT, _CHARS, _NUMBERS = 1, 2, 4, range(6, 16)


def read_mat5(path, field):
    """Reads one variable.

    Args:
        path: `pathlib.Path` of the file.
        field: str, the name of the variable.

    Returns:
        NumPy array of numbers; str for characters; list for cells, in MATLAB's order; dict for a
        struct, of which the first element is taken.

    Raises:
        ValueError: if the file is damaged or has no such variable.
    """
    try:
        content = path.read_bytes()
        if content[126:128] != b"IM":
            raise ValueError("it does not begin like one")
        for kind, data in _elements(content[_HEADER:]):
            if kind == _COMPRESSED:
                ((kind, data),) = _elements(zlib.decompress(data))
            if kind == _MATRIX:
                name, value = _variable(data)
                if name == field:
                    return value
        raise ValueError("it has no such variable")
    # Damage shows in as many ways as there are bytes.
    except Exception as error:
        raise ValueError(
            f"The file must be a MATLAB 5 file with the field `{field}`. "
            f"Received: '{path}' ({type(error).__name__}: {error})."
        ) from error


def _elements(content):
    # Kind and data of each element: a tag of 8 bytes, and data up to a multiple of 8 bytes.
    position = 0
    while position < len(content):
        kind, length = struct.unpack_from("<II", content, position)
        start, end = position + 8, position + 8 + length + -length % 8
        if kind == _COMPRESSED:
            end = start + length
        elif kind >> 16:  # up to 4 bytes, within the tag
            kind, length, start, end = kind & 0xFFFF, kind >> 16, position + 4, position + 8
        if start + length > min(len(content), end):
            raise ValueError("it is cut short")
        yield kind, content[start : start + length]
        position = end


def _variable(content):
    # Name and value of a matrix.
    if not content:
        return "", np.zeros(0)
    (_, flags), (_, dims), (_, name), *rest = _elements(content)
    dims = np.frombuffer(dims, "<i4").tolist()
    kind, name = flags[0], name.decode("ascii")
    if kind == _CELLS:
        return name, [_variable(data)[1] for _, data in rest][: math.prod(dims)]
    if kind == _STRUCT:
        (_, width), (_, names), *values = rest
        width = int.from_bytes(width, "little")
        names = [names[i : i + width] for i in range(0, len(names), width)]
        names = [name.split(b"\0")[0].decode("ascii") for name in names]
        return name, {n: _variable(data)[1] for n, (_, data) in zip(names, values, strict=False)}
    stored, data = rest[0]
    if kind == _CHARS:
        return name, data.decode(_ENCODINGS[stored])
    if kind not in _NUMBERS:
        raise ValueError(f"a variable of class {kind} is not expected")
    return name, np.frombuffer(data, _DTYPES[stored]).reshape(dims, order="F")
