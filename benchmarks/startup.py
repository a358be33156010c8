"""How long `keras-atinet` takes for what needs no Keras, beside Python alone and the whole import.

    KERAS_BACKEND=torch python benchmarks/startup.py

Each is a process of its own; they take turns. Printed are seconds from its start to its end and
those of a core: median (minimum to maximum).
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

COMMAND = ["-m", "keras_atinet"]
KINDS = {
    "Python alone": ["-c", "pass"],
    "--version": [*COMMAND, "--version"],
    "--help": [*COMMAND, "--help"],
    "train --help": [*COMMAND, "train", "--help"],
    "train --epohcs 5": [*COMMAND, "train", "--epohcs", "5"],
    "import keras_atinet": ["-c", "import keras_atinet"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    measured = {name: [] for name in KINDS}
    for turn in range(arguments.rounds + 1):
        for name, command in KINDS.items():
            seconds = run(command)
            if turn:  # the first reads files from the disk
                measured[name].append(seconds)
    for name, rounds in measured.items():
        wall, core = (f"{shown(column)} s" for column in zip(*rounds, strict=True))
        print(f"{name:22}{wall}, of a core {core}")


def run(command):
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *command], capture_output=True, check=False)
    after = os.times()
    core = sum(after[2:4]) - sum(before[2:4])  # of child processes, in the user's and the system's
    return time.perf_counter() - start, core


def shown(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
