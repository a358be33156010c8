"""Files of PyTorch, read by PyTorch and without it."""

import collections
import contextlib
import io
import os
import pickle
import struct
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from keras_atinet.models import state_dict
from keras_atinet.models.restricted_reader import read_restricted
from keras_atinet.models.state_dict import state_dict_arrays

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.backend_free


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before 1.6"])
def test_both_readers_give_the_same_arrays(torch, tmp_path, monkeypatch, is_zip):
    path = tmp_path / "model.pth"
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    norm = torch.nn.BatchNorm2d(3)
    state = collections.OrderedDict(
        norm.state_dict(),  # with versions of modules as attributes
        part=base[1:3, 2:5].T,
        same=base,
        parameter=torch.nn.Parameter(torch.ones(2, 1, 3, 3)),
        scalar=torch.tensor(2.5, dtype=torch.float64),
        none=torch.zeros(0, 3),
        half=torch.tensor([1.5, -0.25], dtype=torch.float16),
        brain=torch.tensor([1.5, -3e38], dtype=torch.bfloat16),
        true=torch.tensor([True, False]),
        **{
            str(kind): torch.tensor([100, 2], dtype=kind)
            for kind in (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)
        },
    )
    state._metadata = norm.state_dict()._metadata
    whole = {"state_dict": state, "epoch": 3, "scores": [0.5, (None, "a", True)], "big": 2**70}
    torch.save(whole, path, _use_new_zipfile_serialization=is_zip)
    expected = state_dict_arrays(path)
    monkeypatch.setitem(sys.modules, "torch", None)
    arrays = state_dict_arrays(path)
    assert list(arrays) == list(expected) and "part" in arrays
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
        assert arrays[name].shape == array.shape
    read = read_restricted(path)
    assert {key: read[key] for key in ("epoch", "scores", "big")} == {
        key: whole[key] for key in ("epoch", "scores", "big")
    }


@pytest.mark.parametrize(
    ("version", "is_safe"),
    [("2.5.1", False), ("2.9.1+cu128", False), ("2.10.0a0+git1", False), ("2.10.0", True)],
)
def test_a_torch_that_could_run_code_is_not_used(torch, tmp_path, monkeypatch, version, is_safe):
    path = tmp_path / "model.pt"
    torch.save({"a": torch.ones(2)}, path)
    used = []
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: used.append(kwargs) or {})
    monkeypatch.setattr(torch, "__version__", version)
    assert list(state_dict_arrays(path)) == ([] if is_safe else ["a"])
    assert [kwargs["weights_only"] for kwargs in used] == [True] * is_safe


def test_the_extra_installs_a_torch_that_is_used():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    floor = project["optional-dependencies"]["torch"]
    assert [f"{line}.0" for line in floor] == [f"torch>={state_dict.OLDEST_TORCH}"]


class Call:
    """An object whose pickle calls something."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def archive(pickled, data=b"\0" * 8, compression=zipfile.ZIP_STORED, name="archive"):
    """A zip archive as `torch.save` writes it; `pickled` are the bytes of a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zipped:
        zipped.writestr(f"{name}/data.pkl", pickled)
        zipped.writestr(f"{name}/data/0", data)
    return file.getvalue()


def tensor(kind="torch FloatStorage", key="0", count=2, offset=0, shape=(2,), strides=(1,)):
    """The bytes of a pickle of a dict with one tensor, opcode by opcode."""

    def value(x):
        return pickle.dumps(x, 2)[2:-1]

    storage = b"(" + value("storage") + f"c{kind}\n".replace(" ", "\n").encode()
    storage += value(key) + value("cpu") + value(count) + b"tQ"
    arguments = b"(" + storage + value(offset) + value(shape) + value(strides) + b"\x89}t"
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"
    return b"\x80\x02}" + value("a") + rebuilt + b"s."


def legacy(pickled, keys=("0",), count=2, data=b"\0" * 8):
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    head = b"".join(pickle.dumps(part, 2) for part in parts)
    return head + pickled + pickle.dumps(list(keys), 2) + struct.pack("<q", count) + data


def test_the_archives_of_these_tests_are_read(tmp_path):
    """So that what is refused below is refused for what is wrong with it."""
    path = tmp_path / "model.pt"
    data = np.array([1.5, 2.5], "<f4").tobytes()
    for content in (archive(tensor(), data), legacy(tensor(), data=data)):
        path.write_bytes(content)
        assert read_restricted(path)["a"].tolist() == [1.5, 2.5]


HUGE = 2**62
BAD = {
    "system": archive(pickle.dumps(Call(os.system, "touch owned"), 2)),
    "system, protocol 4": archive(pickle.dumps({"a": Call(os.system, "touch owned")}, 4)),
    "eval": archive(pickle.dumps(Call(eval, "open('owned', 'w')"), 2)),
    "getattr": archive(pickle.dumps(Call(getattr, "", "join"), 2)),
    "an object": archive(pickle.dumps(Path("x"), 2)),
    "an attribute": archive(b"\x80\x02ccollections\nOrderedDict\n}b."),
    "system before 1.6": legacy(pickle.dumps(Call(os.system, "touch owned"), 2)),
    "system as the magic number": pickle.dumps(Call(os.system, "touch owned"), 2),
    "a plain pickle": pickle.dumps({"a": 1}, 2),
    "an extension": archive(b"\x80\x02\x82\x01."),
    "a persistent id": archive(b"\x80\x02X\x01\x00\x00\x00aQ."),
    "a path": archive(tensor(key="../../data/0")),
    "values of an unknown type": archive(tensor("os FloatStorage")),
    "complex values": archive(tensor("torch ComplexFloatStorage")),
    "a shape larger than the data": archive(tensor(shape=(3,))),
    "a huge shape without strides": archive(tensor(shape=(HUGE,), strides=(0,))),
    "huge strides": archive(tensor(strides=(HUGE,))),
    "an offset": archive(tensor(offset=1)),
    "a negative offset": archive(tensor(offset=-1)),
    "a negative stride": archive(tensor(offset=1, strides=(-1,))),
    "a shape without strides": archive(tensor(strides=())),
    "a shape of floats": archive(tensor(shape=(2.0,))),
    "data of a part of a value": archive(tensor(), b"\0" * 7),
    "compressed": archive(tensor(), compression=zipfile.ZIP_DEFLATED),
    "a huge count": legacy(tensor(count=HUGE)),
    "another count": legacy(tensor(), count=3),
    "too little data": legacy(tensor(), data=b"\0" * 7),
    "another key": legacy(tensor(), keys=["1"]),
    "no keys": legacy(tensor())[: len(legacy(b"")) - 40],
    "a huge string": archive(b"\x80\x02\x8d" + struct.pack("<Q", HUGE) + b"a."),
    "an empty stack": archive(b"\x80\x02s."),
    "no end": archive(b"\x80\x02}"),
    "an unhashable key": archive(b"\x80\x02}}}s."),
    "tuples in tuples as a key": archive(b"\x80\x02})" + b"\x85" * 20_000 + b"Ns."),
    "not a pickle": archive(b"hello"),
    "no archive": b"PK hello",
    "half an archive": archive(tensor())[:150],
    "text": b"hello",
    "empty": b"",
}


@pytest.mark.parametrize("kind", BAD)
def test_anything_else_is_refused(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pt"
    path.write_bytes(BAD[kind])
    with pytest.raises(pickle.UnpicklingError):
        read_restricted(path)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match=r"model\.pt' is no PyTorch file of weights alone"):
        state_dict_arrays(path)
    assert os.listdir(tmp_path) == ["model.pt"]


@pytest.mark.parametrize("content", [b"hello", b"", "damaged"])
def test_a_file_that_pytorch_would_take_or_fail_over(torch, tmp_path, content):
    path = tmp_path / "model.pt"
    if content == "damaged":
        torch.save({"a": torch.full((64,), 1.5)}, path)
        value = np.float32(1.5).tobytes()
        content = path.read_bytes().replace(4 * value, 4 * value[::-1], 1)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no PyTorch file of weights alone .*or a damaged one"):
        state_dict_arrays(path)


def test_lists_that_share_their_parts_are_read_at_once(tmp_path):
    """As a tree these sixty opcodes would have 2**60 leaves."""
    path = tmp_path / "model.pt"
    path.write_bytes(archive(b"\x80\x02](" + b"]q\x00(h\x00h\x00e" * 60 + b"e."))
    assert isinstance(read_restricted(path), list)


def test_damaged_bytes(torch, tmp_path):
    """Any change of a file gives an error of the reader, or arrays."""
    path = tmp_path / "model.pt"
    rng = np.random.default_rng(0)
    for is_zip in (True, False):
        torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=is_zip)
        content = np.frombuffer(path.read_bytes(), "uint8")
        for _ in range(150):
            damaged = content.copy()
            places = rng.integers(0, len(content), 2)
            damaged[places] = rng.integers(0, 256, 2)
            path.write_bytes(damaged[: rng.integers(1, 2 * len(content))].tobytes())
            with contextlib.suppress(pickle.UnpicklingError):
                read_restricted(path)
