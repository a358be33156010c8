"""Several processes for one search: KerasTuner's chief and workers on this machine."""

import os
import socket
import subprocess
import sys
import time

import keras

_HOST = "127.0.0.1"


def is_worker_or_chief():
    """Whether KerasTuner's environment variables make this process part of a search."""
    return "KERASTUNER_ORACLE_IP" in os.environ


def run(argv, workers, out):
    """Runs a command in a chief, which hands out trials, and in workers, which train them.

    Args:
        argv: list of str, the command without the program's name.
        workers: int, number of workers.
        out: path of the folder for `chief.log`, `worker-1.log` and so on.

    Raises:
        RuntimeError: if a process fails. The trials that are done are not lost.
    """
    with socket.socket() as found:
        found.bind((_HOST, 0))
        port = found.getsockname()[1]
    print(f"{workers} workers; how far they are: {out / 'chief.log'}", flush=True)
    processes = []
    try:
        for name in ("chief", *(f"worker-{number}" for number in range(1, workers + 1))):
            with (out / f"{name}.log").open("a", encoding="utf-8") as log:
                processes.append(_start(argv, name, port, log))
            if name == "chief":
                _wait_for(processes[0], port)
        _wait(*processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _start(argv, name, port, log):
    environment = {
        **os.environ,
        "KERAS_BACKEND": keras.backend.backend(),
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": _HOST,
        "KERASTUNER_ORACLE_PORT": str(port),
    }
    command = [sys.executable, "-m", "keras_atinet", *argv]
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _wait_for(chief, port):
    # Workers that find no chief try again after longer and longer pauses.
    while chief.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((_HOST, port)) == 0:
                return
        time.sleep(0.2)


def _wait(chief, *workers):
    # Workers would wait an hour for a chief that is gone. The chief outlasts its last worker.
    while any(worker.poll() is None for worker in workers):
        if chief.poll():
            break
        time.sleep(0.2)
    failed = [process.poll() for process in (chief, *workers) if process.poll()]
    if failed:
        raise RuntimeError(
            "A process of the search failed; see the .log files in the folder of the search. "
            f"Received: exit status {failed[0]}. The same command goes on with the search."
        )
