"""A reader of PyTorch's files that knows arrays and containers, and no code."""

import collections
import io
import math
import pathlib
import pickle
import pickletools
import struct
import zipfile

import numpy as np

# Before `torch.save` wrote zip archives, it wrote four pickles, the keys of the storages and the
# raw storages; the files that are in packages today are of this kind.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_BFLOAT16 = "bfloat16"
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
_VALUES = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_DAMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError, OverflowError, EOFError),
    *(RuntimeError, struct.error, zipfile.BadZipFile),
)


def read_restricted(path):
    """What `torch.save` wrote, if that is arrays in dicts, lists and tuples, numbers and strings.

    It is interpreted opcode by opcode: nothing is imported or called, whatever the file names.
    No array is larger than what the file holds for it.

    Args:
        path: path of a file.

    Returns:
        The object; each tensor is a read-only array, bfloat16 as float32.

    Raises:
        pickle.UnpicklingError: if the file is damaged or asks for anything else.
    """
    data = pathlib.Path(path).read_bytes()
    try:
        return _read_zip(data) if data[:2] == b"PK" else _read_legacy(data)
    except _DAMAGE as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise pickle.UnpicklingError(reason) from error


def _read_zip(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}

        def entry(name):
            # Compressed entries, which PyTorch never writes, may be of any size.
            if archive.getinfo(names[name]).compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"'{names[name]}' is compressed")
            return archive.read(names[name])

        if "byteorder" in names and entry("byteorder") != b"little":
            raise ValueError("it is of a big-endian machine")
        storages = {}

        def storage(kind, key, *_):
            if key not in storages:
                storages[key] = kind, _values(entry(f"data/{key}"), kind)
            return _of_kind(storages[key], kind)

        return _Interpreter(storage).run(io.BytesIO(entry("data.pkl")))


def _read_legacy(data):
    file = io.BytesIO(data)
    plain = _Interpreter(None)
    if plain.run(file) != _LEGACY_MAGIC:
        raise ValueError("it begins neither as a zip archive nor as a file of PyTorch before 1.6")
    plain.run(file)  # the version of the format
    if plain.run(file).get("little_endian") is not True:
        raise ValueError("it is of a big-endian machine")
    storages, num_bytes = {}, 0

    def storage(kind, key, _, count, view=None):
        # Filled below, where its bytes are.
        nonlocal num_bytes
        if view is not None:
            raise ValueError("a storage is part of another")
        if key not in storages:
            count = _count(count)
            num_bytes += count * _dtype(kind).itemsize
            if num_bytes > len(data):
                raise ValueError("it is shorter than what it should hold")
            storages[key] = kind, np.zeros(count, "<f4" if kind == _BFLOAT16 else kind)
        return _of_kind(storages[key], kind)

    result = _Interpreter(storage).run(file)
    for key in plain.run(file):
        kind, array = storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != len(array):
            raise ValueError(f"storage {key} has {count} values for {len(array)}")
        array[:] = _values(file.read(count * _dtype(kind).itemsize), kind)
    return result


def _dtype(kind):
    return np.dtype("<u2" if kind == _BFLOAT16 else kind)


def _values(data, kind):
    array = np.frombuffer(data, _dtype(kind))
    # A bfloat16 is the upper half of a float32.
    return (array.astype("<u4") << 16).view("<f4") if kind == _BFLOAT16 else array


def _of_kind(storage, kind):
    if storage[0] != kind:
        raise ValueError("a storage has two types")
    return storage[1]


def _count(value):
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


class _Global(str):
    """The name of something in a module: never imported."""


class _Storage:
    """What an array is a part of."""

    def __init__(self, array):
        self.array = array


class _Interpreter:
    """Runs the opcodes of a pickle that build containers and arrays.

    Args:
        storage: function from a persistent id's parts (type, key, device, count and, in old files,
            what it is a part of) to a flat array; None where no arrays may be.
    """

    def __init__(self, storage):
        self.storage = storage

    def run(self, file):
        """The object that a pickle describes, which ends where `file` then stands."""
        stack, marks, memo = [], [], {}
        for opcode, argument, _ in pickletools.genops(file):
            name = opcode.name
            if name == "STOP":
                (result,) = stack
                return result
            if name in _VALUES:
                stack.append(argument)
            elif name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            elif name in _EMPTY:
                stack.append(_EMPTY[name]())
            elif name == "MARK":
                marks.append(len(stack))
            elif name in ("BINPUT", "LONG_BINPUT"):
                memo[argument] = stack[-1]
            elif name == "MEMOIZE":
                memo[len(memo)] = stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[argument])
            elif name == "GLOBAL":
                stack.append(_Global(argument.replace(" ", ".")))
            elif name == "STACK_GLOBAL":
                stack.append(_Global(".".join(_popped(stack, 2))))
            elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
                stack.append(tuple(_popped(stack, int(name[-1]))))
            elif name == "TUPLE":
                stack.append(tuple(_since(stack, marks)))
            elif name in ("APPEND", "APPENDS"):
                values = _popped(stack, 1) if name == "APPEND" else _since(stack, marks)
                _top(stack, list).extend(values)
            elif name in ("SETITEM", "SETITEMS"):
                values = _popped(stack, 2) if name == "SETITEM" else _since(stack, marks)
                _top(stack, dict).update(_pairs(values))
            elif name == "BINPERSID":
                stack.append(self._persistent(stack.pop()))
            elif name == "REDUCE":
                function, arguments = _popped(stack, 2)
                stack.append(_call(function, arguments))
            elif name == "BUILD":
                stack.pop()  # attributes of a dict: versions of modules
                _top(stack, dict)
            elif name not in ("PROTO", "FRAME"):
                raise ValueError(f"it has the opcode {name}")
        raise EOFError("it ends within a pickle")

    def _persistent(self, parts):
        tag, kind, *rest = parts
        if self.storage is None or tag != "storage" or not isinstance(kind, _Global):
            raise ValueError(f"it refers to {tag!r}")
        module, _, kind = kind.rpartition(".")
        if not rest or type(rest[0]) is not str:
            raise ValueError("a storage has no name")
        if module != "torch" or kind not in _STORAGES:
            raise ValueError(f"it has values of {module}.{kind}")
        return _Storage(self.storage(_STORAGES[kind], *rest))


def _call(function, arguments):
    if not isinstance(function, _Global) or not isinstance(arguments, tuple):
        raise ValueError("it calls what is no function")
    if function == "collections.OrderedDict":
        return collections.OrderedDict(_pairs(arguments))
    if function == "torch._utils._rebuild_parameter":
        return arguments[0]
    if function == "torch._utils._rebuild_tensor_v2":
        return _tensor(*arguments[:4])
    raise ValueError(f"it calls {function}")


def _tensor(storage, offset, shape, strides):
    """The part of a storage that a tensor is, without a copy."""
    array = storage.array
    offset, shape, strides = _count(offset), [*map(_count, shape)], [*map(_count, strides)]
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) == 0:
        return np.zeros(shape, array.dtype)
    if offset + last >= len(array) or math.prod(shape) > len(array):
        raise ValueError(f"a tensor of shape {tuple(shape)} is larger than its {len(array)} values")
    strides = [stride * array.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(array[offset:], shape, strides, writeable=False)


def _pairs(values):
    # Only these: Python crashes on the hash of a tuple in a tuple in a tuple, some 100,000 deep.
    if not all(type(key) in (str, int) for key in values[::2]):
        raise ValueError("a key of a dict is no name")
    return zip(values[::2], values[1::2], strict=True)


def _popped(stack, count):
    if len(stack) < count:
        raise ValueError("its stack is empty")
    values = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return values


def _since(stack, marks):
    return _popped(stack, len(stack) - marks.pop())


def _top(stack, kind):
    if not isinstance(stack[-1], kind):
        raise ValueError(f"it fills a {type(stack[-1]).__name__} as a {kind.__name__}")
    return stack[-1]
