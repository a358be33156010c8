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
KILLS = 10
# A process that has imported everything and computed nothing forks those that are killed: to start
# Python anew takes longer than to train.
SCRIPT = """
import os, random, signal, sys, time

for name in ("tensorflow", "matplotlib"):  # take long to import, and a page long to draw
    sys.modules[name] = None
import keras_atinet.cli.main as cli

undisturbed, killed, kills, *command = sys.argv[1:]
draw = random.Random(0)

def start(out):
    process = os.fork()
    if process == 0:
        os._exit(cli.main([*command, "--out", out]))
    return process

def finish(out):
    status = os.waitpid(start(out), 0)[1]
    assert status == 0, status

finish(undisturbed)
for number in range(int(kills)):
    process = start(killed)
    time.sleep(draw.uniform(0.3, 3))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
finish(killed)
"""
STUDY = ["reproduce", "table1", "--data", "rooms", "--scale", "tiny", "--models", "atinet"]
STUDY += ["--seeds", "1", "--num-samples", "8"]


def numbers(path):
    """The rows of a CSV file but for times."""
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_killed_at_ten_moments_it_ends_with_the_same_numbers(tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    # With several threads sums may differ in their last digit.
    environment = {**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(undisturbed), str(killed), str(KILLS), *STUDY],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    for name in ("atinet-dwa-seed0/history.csv", "atinet-dwa-seed0/scores.csv", "results.csv"):
        assert numbers(killed / name) == numbers(undisturbed / name)
    assert not (killed / "atinet-dwa-seed0" / "backup").exists()
