"""Files that others see complete or not at all, and clear errors where one cannot be written."""

import contextlib
import errno
import json
import math
import os
import pathlib
import shutil
import tempfile

UNFINISHED = ".part"
_FULL = {
    errno.ENOSPC: "The disk is full",
    getattr(errno, "EDQUOT", None): "The quota of disk space is used up",
    errno.EFBIG: "A file of this size is not allowed there",
}
_DENIED = {
    errno.EROFS: "The file system is read-only",
    errno.EACCES: "Permission is denied",
    errno.EPERM: "Permission is denied",
}
_TAKEN = {
    errno.ENOTDIR: "There is a file where a folder is needed",
    errno.EEXIST: "There is a file where a folder is needed",
    errno.EISDIR: "There is a folder of this name",
}
_OTHER = {
    errno.ENOENT: "The folder to write to is gone",
    errno.EIO: "The disk reports an error",
    errno.ENAMETOOLONG: "The name is too long",
    errno.ELOOP: "The symbolic links form a loop",
    errno.EBUSY: "Another program uses it",
}
_REASONS = {**_FULL, **_DENIED, **_TAKEN, **_OTHER}
_FULL_BYTES = 2**16  # with less left a write that failed for no stated reason failed for that


class WriteError(OSError):
    """A file that could not be written: which one, why, and what to do, in one line."""


@contextlib.contextmanager
def replacing(path, needed=None):
    """Gives a path to write to; what is there in the end takes the place of `path`.

    It lies beside `path`, in a folder of its own whose name ends with `.part`, and has the name of
    `path`. All that the block writes into that folder moves along. It moves when it is on the disk;
    if the block fails nothing moves and the folder goes. A process that is killed leaves it, see
    `remove_unfinished`. Missing folders above `path` are made. Of a folder that is there, what the
    new one does not have stays. What is no file, such as a pipe, is written directly.

    Args:
        path: str or path of the file or folder to write.
        needed: optional int, its size in bytes. Where less is left, the error comes before the
            block begins.

    Yields:
        `pathlib.Path`.

    Raises:
        WriteError: if the system refuses to write it.

    Example:
        >>> with replacing("scores.npz") as path:
        ...     np.savez(path, **scores)
    """
    with explaining(path, needed):
        if _is_stream(path):
            yield pathlib.Path(path)
            return
        # Of a link, the file it stands for is written.
        path = pathlib.Path(os.path.realpath(path))
        make_folder(path.parent)
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        folder = tempfile.mkdtemp(UNFINISHED, f"{path.name[:40]}.", path.parent)
        try:
            check_room(path, needed)
            new = pathlib.Path(folder, path.name)
            yield new
            _move(new, path)
        except Exception as error:
            if _without_reason(error) and shutil.disk_usage(folder).free < _FULL_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def explaining(path, needed=None):
    """Turns an error of the system within the block into a `WriteError` about `path`.

    Args:
        path, needed: as for `replacing`.
    """
    try:
        yield
    except Exception as error:
        number = _number(error)
        if number is None:
            raise
        explained = WriteError(_message(number, pathlib.Path(path), needed))
        explained.errno = number
        raise explained from error


def check_room(path, needed):
    """Raises a `WriteError` if there is no room for a number of bytes where a path is to be."""
    with explaining(path, needed):
        if needed and shutil.disk_usage(_nearest(pathlib.Path(path))).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def make_folder(path):
    """Makes a folder, and those above it.

    Raises:
        WriteError: if the system refuses to make it.
    """
    with explaining(path):
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)


def write_text(path, text):
    """Writes a text file; raises as `replacing`."""
    with replacing(path, len(text)) as new:
        new.write_text(text, encoding="utf-8", newline="")


def write_json(path, value):
    """Writes a JSON file; raises as `replacing`."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def read_json(path):
    """The object in a JSON file, a dict.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, is no JSON, or something else than an object.
    """
    path = pathlib.Path(path)
    try:
        # Some editors begin a file with a byte order mark.
        found = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique)
    except FileNotFoundError:
        raise
    except RecursionError as error:
        raise ValueError(f"A file is nested too deeply. Received: '{path}'.") from error
    except OSError as error:
        raise ValueError(
            f"A file cannot be read. Received: '{path}' ({error.strerror})."
        ) from error
    except ValueError as error:
        size = path.stat().st_size
        what = f"{type(error).__name__}: {error}" if size else "it is empty"
        raise ValueError(f"A file is not valid JSON. Received: '{path}' ({what}).") from error
    if not isinstance(found, dict):
        raise ValueError(
            f"A file must hold a JSON object, {{...}}. Received: '{path}', a "
            f"{type(found).__name__}."
        )
    place = next(_not_finite(found), None)
    if place is not None:
        raise ValueError(
            f"A number must be finite in JSON. Received: '{path}', where {place} is not."
        )
    return found


def _unique(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice in one object")
    return found


def _not_finite(value):
    """Yields the place of each NaN or infinite number, such as `tasks.depth.scale`."""
    # Without recursion: what the parser takes may be nested more deeply than functions may be.
    waiting = [("", value)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, float) and not math.isfinite(value):
            yield place
        children = enumerate(value) if isinstance(value, list) else ()
        if isinstance(value, dict):
            children = value.items()
        waiting.extend((f"{place}.{key}".lstrip("."), child) for key, child in children)


def one_line(error):
    """What the error of another library says, in one line of 300 characters at most."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]} ..."


def remove_unfinished(folder):
    """Removes what killed processes left of the files in a folder; no other may write to it."""
    for path in pathlib.Path(folder).glob(f"*{UNFINISHED}"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync_folder(folder):
    """Makes the names of the files in a folder last; not every system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_stream(path):
    # What a shell puts in the place of a file: /dev/stdout, a named pipe.
    path = pathlib.Path(path)
    # Not so the files in `/dev/shm`, a disk in memory.
    is_device = path.parts[:2] == ("/", "proc") or str(path.parent) in ("/dev", "/dev/fd")
    return is_device or (path.exists() and not path.is_file() and not path.is_dir())


def _move(new, path):
    for file in new.parent.rglob("*"):
        if file.is_file():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
    # What belongs to the file comes before it.
    for other in new.parent.iterdir():
        if other != new:
            _replace(other, path.with_name(other.name))
    if new.exists():
        _replace(new, path)
    sync_folder(path.parent)


def _replace(new, path):
    if path.is_file():
        shutil.copymode(path, new)
    if not (path.is_dir() and new.is_dir()):
        os.replace(new, path)
    elif _names(path) <= _names(new):
        # A folder takes the place of an empty one only.
        old = new.with_name(f"{new.name}.old")
        os.replace(path, old)
        try:
            os.replace(new, path)
        except OSError:
            os.replace(old, path)
            raise
    else:
        # What else is in the folder stays there.
        for entry in new.iterdir():
            _replace(entry, path / entry.name)


def _names(folder):
    return {path.relative_to(folder) for path in folder.rglob("*")}


def _number(error):
    """The `errno` of an exception or of its cause; other libraries have it in their text only."""
    while error is not None:
        number, text = getattr(error, "errno", None), str(error)
        if isinstance(error, OSError) and number in _REASONS:
            return number
        for number in (*_FULL, *_DENIED):
            if number and (os.strerror(number) in text or f"errno = {number}," in text):
                return number
        error = error.__cause__
    return None


def _without_reason(error):
    # PyTorch's and HDF5's errors of a write may say nothing of why it failed.
    return isinstance(error, (OSError, RuntimeError)) and _number(error) is None


def _message(number, path, needed):
    facts, fix = "", "Choose another place."
    if number in (errno.ENOTDIR, errno.EEXIST):
        path = next((parent for parent in path.parents if parent.is_file()), path)
    if number in _FULL:
        if needed is None and path.is_file():
            needed = path.stat().st_size
        sizes = [] if not needed else [f"about {_megabytes(needed)} needed"]
        with contextlib.suppress(OSError):
            sizes.append(f"{_megabytes(shutil.disk_usage(_nearest(path)).free)} left")
        facts = f", {', '.join(sizes)}" if sizes else ""
        fix = "Make room, or choose another place."
    elif number in _DENIED:
        fix = "Change the permissions, or choose another place."
    return f"{_REASONS[number]}. Not written: '{path}'{facts}. {fix}"


def _nearest(path):
    return next(parent for parent in (path, *path.absolute().parents) if parent.is_dir())


def _megabytes(size):
    return f"{size / 1e6:.1f} MB"
