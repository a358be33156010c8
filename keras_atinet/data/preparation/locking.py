"""A lock that one process at a time can hold."""

import contextlib

from keras_atinet.files import explaining

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


@contextlib.contextmanager
def only_one(path, activity="prepares the same data"):
    """Holds a lock, which the system releases however the process ends.

    Args:
        path: `pathlib.Path` of a file for it. It is removed when all went well.
        activity: str, what the other process does, for the message.

    Raises:
        FileExistsError: if another process holds it.
    """
    with explaining(path):
        file = path.open("ab")
    with file:
        try:
            _lock(file)
        except (BlockingIOError, PermissionError) as error:
            raise FileExistsError(
                f"Another process {activity}. "
                f"Received: '{path.parent}'. Wait for it, or choose another folder."
            ) from error
        except OSError:
            pass  # a file system that knows no locks
        yield
    with contextlib.suppress(OSError):  # Windows keeps it while another process looks at it
        path.unlink()


def _lock(file):
    if fcntl:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
