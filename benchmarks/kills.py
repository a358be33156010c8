"""Kills trainings by the command line at random moments, and compares how they end.

    python benchmarks/kills.py --backend torch --kills 7 --seed 0

A tiny training is killed (SIGKILL) at moments drawn evenly over the life of its process, in seconds
of a core, from the start of Python to the scores at the end. It goes on, and is killed again, until
one lives to its end; then the next one begins, until there were enough kills. Each must end with
the files of a training that nobody disturbed: the same history but for the seconds, the same bits
in the weights and the optimizer of both models, and nothing besides. After each kill what is there
must be readable: models, states, history and settings. The exit status is 1 if something is not so.
"""

import argparse
import csv
import functools
import importlib.metadata
import io
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
import traceback
import zipfile

import h5py
import numpy as np

# The second phase begins halfway, and weights depend on the losses of two epochs before.
TINY = "train --image-size 32 32 --filters 4 4 4 4 4 --num-samples 8 --batch-size 4"
MODELS = ("best.keras", "last.keras")
ENVIRONMENT = {
    # With several threads sums may differ in their last digit.
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    # Or JAX would compile for most of its life.
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("tensorflow", "jax", "torch"), default="torch")
    parser.add_argument("--kills", type=int, default=7, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--epochs", type=int, default=10, metavar="N")
    parser.add_argument("--model", default="atinet")
    text = "import everything once and fork; nothing is killed while it imports then"
    parser.add_argument("--fork", action="store_true", help=text)
    arguments = parser.parse_args()
    os.environ |= {"KERAS_BACKEND": arguments.backend, **ENVIRONMENT}
    run = command_line() if arguments.fork else execute
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{folder}/programs"
        sys.exit(kill_all(pathlib.Path(folder), run, arguments))


def kill_all(folder, run, arguments):
    """Trains with kills until there were enough; returns the exit status."""
    command = [*TINY.split(), "--model", arguments.model, "--epochs", str(arguments.epochs)]
    train = functools.partial(train_until, run, command)
    undisturbed, log = folder / "undisturbed", folder / "log"
    # JAX compiles in the first.
    firsts = [folder / "first", undisturbed] if arguments.backend == "jax" else [undisturbed]
    for out in firsts:
        status, seconds = train(out, log, None)
        if status:
            print(log.read_text())
            return 1
    print(f"{arguments.backend}: undisturbed {seconds:.1f} s of a core", flush=True)

    moments = random.Random(arguments.seed)
    kills = trainings = failures = num_broken = 0
    while kills < arguments.kills:
        out = folder / f"killed-{trainings}"
        trainings += 1
        while status := train(out, log, moments.uniform(0, seconds))[0]:
            if status != -signal.SIGKILL:
                print(log.read_text())
                return 1
            kills += 1
            broken = unreadable(out)
            num_broken += len(broken)
            faults = f", unreadable: {'; '.join(broken)}" if broken else ""
            print(f"  kill {kills}: {epochs_in(out)} epochs done{faults}", flush=True)
            if kills == arguments.kills:
                break
        status = status and train(out, log, None)[0]
        found = [f"exit status {status}", log.read_text()] if status else []
        found = found or differences(undisturbed, out)
        failures += bool(found)
        print(f"  training {trainings}:", *(found or ["as undisturbed"]), sep="\n    ", flush=True)
    print(
        f"{kills} kills in {trainings} trainings, {failures} of which ended otherwise; "
        f"{num_broken} unreadable files after kills"
    )
    return int(failures + num_broken > 0)


def train_until(run, command, out, log, seconds):
    """Begins a training, or goes on with it, and kills it after some seconds, `None` for never.

    Seconds are those of a core, so that other work on the machine does not move the moment.

    Returns:
        The exit status, and the seconds.
    """
    command = ["train", "--resume"] if (out / "config.json").exists() else [*command, "--out"]
    process = os.fork()
    if not process:
        try:
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os._exit(run([*command, str(out)]))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if seconds is not None and core_seconds(process) > seconds:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.002)
    _, status, usage = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def core_seconds(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def execute(command):
    os.execv(sys.executable, [sys.executable, "-m", "keras_atinet", *command])


def command_line():
    for name in ("tensorflow", "jax", "torch", "sklearn", "matplotlib"):
        if name != os.environ["KERAS_BACKEND"]:
            sys.modules[name] = None  # takes long to import, or to draw
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="keras-atinet")
    return command.load()


def differences(expected, found):
    """What is otherwise in one run folder than in another, a list of str."""
    names = [{path.name for path in folder.iterdir()} for folder in (expected, found)]
    if names[0] != names[1]:
        return [f"files {sorted(names[1])} instead of {sorted(names[0])}"]
    result = []
    if rows(expected) != rows(found):
        result.append("history.csv")
    for name in MODELS:
        states = state(expected / name), state(found / name)
        if states[0].keys() != states[1].keys():
            result.append(f"{name}: other weights")
        else:
            changed = [
                key for key in states[0] if not np.array_equal(states[0][key], states[1][key])
            ]
            result += [f"{name}: {len(changed)} of {len(states[0])} arrays"] if changed else []
    return result


def rows(folder):
    return table(folder / "history.csv")


def table(path):
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def epochs_in(folder):
    return len(rows(folder)) if (folder / "history.csv").exists() else 0


def unreadable(folder):
    """What a kill left in a run folder that cannot be read, a list of str."""
    readers = {".keras": state, ".json": lambda file: json.loads(file.read_text()), ".csv": table}
    found = []
    for file in [*folder.glob("*.*"), *folder.glob("backup/*.*")]:
        # What begins beside a file has no part in it.
        if file.is_file() and file.suffix in readers:
            try:
                readers[file.suffix](file)
            except Exception as error:
                found.append(f"{file.name} ({error})")
    return found


def state(file):
    """All arrays of a `.keras` file, the optimizer's included."""
    arrays = {}
    with (
        zipfile.ZipFile(file) as archive,
        h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights,
    ):
        weights.visititems(
            lambda name, item: (
                arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return arrays


if __name__ == "__main__":
    main()
