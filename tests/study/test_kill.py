"""A study that is killed again and again ends with the numbers of one that was not."""

import csv
import os
import subprocess
import sys

import keras
import pytest

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    # What is tested does not depend on the backend; the time for compiling does.
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="on the quickest backend only"),
]
# A process that has imported everything and computed nothing forks those that are killed: to start
# Python anew takes longer than to train.
SCRIPT = """
import os, pathlib, signal, sys, zipfile

for name in ("tensorflow", "jax", "sklearn", "matplotlib"):  # take long to import, and to draw
    sys.modules[name] = None
from keras_atinet.cli import main, reproduce

# When the process dies: a file is written, then renamed.
MOMENTS = [
    "after config.json",
    "within best.keras",
    "before history.csv",
    "after epoch-00001.keras",
    "within last.keras",
    "after epoch-00002.keras",
    "before results.json",
    "before table1.md",
]
undisturbed, killed, *command = sys.argv[1:]
replace, close = os.replace, zipfile.ZipFile.close

def study(out, moment=None):
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def reached(found):
        if found == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def replace_or_die(unfinished, path):
        name = pathlib.Path(path).name
        reached(f"before {name}")
        replace(unfinished, path)
        reached(f"after {name}")

    def close_or_die(archive):
        reached(f"within {pathlib.Path(archive.filename or '').name}")
        close(archive)

    os.replace, zipfile.ZipFile.close = replace_or_die, close_or_die
    os._exit(main([*command, "--out", out]))

assert study(undisturbed) == 0
for moment in MOMENTS:
    assert study(killed, moment) == -signal.SIGKILL, moment
assert study(killed) == 0
"""
STUDY = ["reproduce", "table1", "--data", "rooms", "--scale", "tiny", "--models", "atinet"]
# The second phase begins halfway, and weights depend on the losses of two epochs before.
STUDY += ["--seeds", "1", "--num-samples", "8", "--epochs", "3"]


def numbers(path):
    """The rows of a CSV file but for times."""
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_killed_at_any_moment_it_ends_with_the_same_numbers(tmp_path, small_encoder):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    study = [*STUDY, "--encoder", str(small_encoder)]
    # With several threads sums may differ in their last digit.
    environment = {**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(undisturbed), str(killed), *study],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    for name in ("atinet-dwa-seed0/history.csv", "atinet-dwa-seed0/scores.csv", "results.csv"):
        assert numbers(killed / name) == numbers(undisturbed / name)
    assert not (killed / "atinet-dwa-seed0" / "backup").exists()
