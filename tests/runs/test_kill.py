"""`keras-atinet train`, killed at random moments; `benchmarks/kills.py` does it at length."""

import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "kills.py"


# What is tested does not depend on the backend; the time for compiling does.
@pytest.mark.one_backend
@pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="needs Linux")
def test_a_killed_training_ends_as_if_it_had_not_been():
    options = ["--backend", "torch", "--model", "split", "--epochs", "2", "--kills", "3", "--fork"]
    result = subprocess.run(
        [sys.executable, SCRIPT, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (
        "3 kills" in result.stdout and ", 0 of which ended otherwise; 0 unreadable" in result.stdout
    )
