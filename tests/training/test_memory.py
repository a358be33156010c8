import ctypes
import os
import pathlib
import sys

import pytest

from keras_atinet.training.memory import give_back_memory

BLOCK, COUNT = 64 * 1024, 3000  # below the size that the C library maps on its own


def resident():
    pages = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_freed_memory_goes_back():
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("the C library cannot")
    blocks = [bytearray(b"\x01") * BLOCK for _ in range(COUNT)]
    del blocks[:-1]  # the last one keeps the heap from shrinking by itself
    before = resident()
    give_back_memory()
    assert before - resident() > 0.8 * BLOCK * COUNT


def test_elsewhere_it_does_nothing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    give_back_memory()
