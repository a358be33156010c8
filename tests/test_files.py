"""Files that are complete or not there; what is said where the system refuses to write one."""

import errno
import json
import os
import pathlib
import tempfile

import numpy as np
import pytest

from keras_atinet import files

pytestmark = pytest.mark.backend_free


def test_a_file_is_replaced_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "scores.npz"
    for number in range(2):
        with files.replacing(path) as new:
            np.savez(new, number=number)
            assert new.suffix == ".npz" and path.exists() == bool(number)
        assert np.load(path)["number"] == number
    path.chmod(0o640)
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as new:
        new.write_text("half of")
        raise KeyboardInterrupt
    assert np.load(path)["number"] == 1
    files.write_text(path, "text\n")
    assert path.read_bytes() == b"text\n" and path.stat().st_mode & 0o777 == 0o640
    with files.replacing(path):
        pass  # as where a user does not want to overwrite it
    assert path.read_text() == "text\n" and list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="a disk in memory of Linux")
def test_a_disk_in_memory_is_one():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = pathlib.Path(folder, "run", "config.json")
        files.write_json(path, {"epochs": 1})
        with pytest.raises(KeyboardInterrupt), files.replacing(path) as new:
            new.write_text("half of")
            raise KeyboardInterrupt
        assert files.read_json(path) == {"epochs": 1}


def test_what_belongs_to_a_file_moves_with_it(tmp_path):
    (tmp_path / "best.bin").write_text("old")
    with files.replacing(tmp_path / "best.xml") as new:
        new.write_text("new")
        new.with_suffix(".bin").write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "best.xml": "new",
        "best.bin": "new",
    }


def test_of_a_folder_that_is_replaced_all_else_stays(tmp_path):
    def write(text):
        with files.replacing(tmp_path / "model") as new:
            (new / "variables").mkdir(parents=True)
            (new / "variables" / "data").write_text(text)

    def found():
        return {path.name: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}

    for text in ("first", "second"):
        write(text)
        assert found() == {"data": text}
    (tmp_path / "model" / "variables" / "mine").write_text("kept")
    write("third")
    with pytest.raises(files.WriteError, match="There is a folder of this name"):
        files.write_text(tmp_path / "model", "a file")
    assert found() == {"data": "third", "mine": "kept"} and len(list(tmp_path.iterdir())) == 1


def test_the_file_behind_a_link_is_replaced(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    files.write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "text"


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / "best.keras.x1.part").mkdir()
    (tmp_path / "best.keras.x1.part" / "best.keras").touch()
    (tmp_path / "history.csv.part").touch()
    (tmp_path / "history.csv").touch()
    files.remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "history.csv"]


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_that_is_one():
    """`/dev/full` is written to directly, as is what a shell puts in the place of a file."""
    with pytest.raises(files.WriteError, match=r"The disk is full\. Not written: '/dev/full'"):
        files.write_text("/dev/full", "text")


OTHERS = [
    # h5py 3, TensorFlow, NumPy: the number is in the text only.
    OSError(
        "Can't synchronously write data (file write failed: errno = 28, error message = '...')"
    ),
    RuntimeError("model.pb; No space left on device"),
    OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    OSError(errno.EFBIG, os.strerror(errno.EFBIG)),
]


@pytest.mark.parametrize("error", OTHERS, ids=["h5py", "text", "quota", "size"])
def test_a_full_disk_is_told_with_its_numbers(error, tmp_path):
    path = tmp_path / "best.keras"
    path.write_bytes(bytes(2_500_000))
    with pytest.raises(files.WriteError) as raised, files.replacing(path) as new:
        new.write_bytes(b"half")
        raise error
    text = str(raised.value)
    assert f"Not written: '{path}', about 2.5 MB needed, " in text and " MB left. Make room" in text
    assert raised.value.__cause__ is error and raised.value.errno in files._FULL
    assert path.stat().st_size == 2_500_000 and list(tmp_path.iterdir()) == [path]


def test_an_error_that_says_nothing_on_a_full_disk(tmp_path, monkeypatch):
    free = [200_000, 0, 50_000]  # before, when it fails, and without what was begun
    monkeypatch.setattr(
        files.shutil, "disk_usage", lambda path: type("Usage", (), {"free": free.pop(0)})
    )
    with pytest.raises(files.WriteError, match=r"full.*about 0\.1 MB needed, 0\.1 MB left"):  # noqa: SIM117
        with files.replacing(tmp_path / "a.pt2", needed=140_000):
            raise RuntimeError("PytorchStreamWriter failed writing file data/0")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EROFS, "The file system is read-only."),
        (errno.EACCES, "Permission is denied."),
        (errno.EIO, "The disk reports an error."),
    ],
)
def test_a_file_that_may_not_be_written(number, expected, tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "best.keras"
    path.touch()
    monkeypatch.setattr(files.tempfile, "mkdtemp", refuse)
    with pytest.raises(files.WriteError) as raised:
        files.write_text(path, "text")
    assert str(raised.value).startswith(f"{expected} Not written: '{path}'.")
    assert str(raised.value).count("\n") == 0


def test_a_file_that_is_protected_stays(tmp_path, monkeypatch):
    path = tmp_path / "best.keras"
    path.write_text("kept")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for all users but root
    with pytest.raises(files.WriteError, match="Permission is denied"):
        files.write_text(path, "text")
    assert path.read_text() == "kept"


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(files.WriteError, match=r"a file where a folder is needed\. .*runs'"):
        files.write_text(tmp_path / "runs" / "config.json", "{}")


def test_other_errors_stay_what_they_are(tmp_path):
    for error in (TypeError("a fault"), ValueError("No space"), FileNotFoundError("of another")):
        with pytest.raises(type(error)) as raised, files.replacing(tmp_path / "a"):
            raise error
        assert raised.value is error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it is empty"),
        (b'{"settings": {"ep', "not valid JSON"),
        (b"\x89PNG\r\n", "not valid JSON"),
        (100_000 * b"[", "nested too deeply"),
        (100_000 * b'{"a":', "nested too deeply"),
        (b"[1, 2]", "a list"),
        (b"null", "a NoneType"),
    ],
)
def test_a_damaged_file_is_told(content, expected, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=expected) as raised:
        files.read_json(path)
    assert str(path) in str(raised.value)


def test_a_file_is_read_as_it_was_written(tmp_path):
    path, value = tmp_path / "a.json", {"name": "grün", "size": [1, 2]}
    files.write_json(path, value)
    assert files.read_json(path) == value
    path.write_text(json.dumps(value), encoding="utf-8-sig")
    assert files.read_json(path) == value
    with pytest.raises(FileNotFoundError):
        files.read_json(tmp_path / "b.json")
    with pytest.raises(ValueError, match="cannot be read"):
        files.read_json(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_write_the_same_file(tmp_path):
    path, texts = tmp_path / "table.md", ("short", 10_000 * "long")
    process = os.fork()
    for _ in range(50):
        try:
            files.write_text(path, texts[process == 0])
            complete = path.read_text() in texts
        except OSError:
            complete = False
        if process == 0 and not complete:
            os._exit(1)
        assert complete
    if process == 0:
        os._exit(0)
    assert os.waitpid(process, 0)[1] == 0
    assert list(tmp_path.iterdir()) == [path]
