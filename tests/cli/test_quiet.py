import os

import pytest

from keras_atinet.cli.quiet import quiet

pytestmark = pytest.mark.backend_free
NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795830594.733492    3147 port.cc:153] oneDNN custom operations are on.
E0000 00:00:1795830597.975248    3147 cuda_platform.cc:52] failed call to cuInit: INTERNAL
2024-05-01 12:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.
To enable the following instructions: AVX2 FMA, rebuild TensorFlow with the compiler flags.
"""
OTHER = "UserWarning: a package says something\nF0000 00:00:17.7 31 memory.cc:5] no memory\n"


def write(text):
    os.write(2, text.encode())


def test_lines_of_tensorflow_are_dropped_and_others_kept(monkeypatch, capfd):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with pytest.raises(ImportError), quiet():
        write(NOISE + OTHER)
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
        raise ImportError
    write("after\n")
    assert capfd.readouterr().err == OTHER + "after\n"


def test_who_asks_for_the_lines_gets_them(monkeypatch, capfd):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with quiet():
        write(NOISE)
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert capfd.readouterr().err == NOISE
