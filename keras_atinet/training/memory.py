import ctypes
import sys


def give_back_memory():
    """Gives the system what this process has freed, where the C library can.

    The library keeps it else, in pieces that are too small for the tensors of a later step.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)
