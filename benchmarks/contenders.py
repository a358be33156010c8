"""Contenders: what is measured, each in a process of its own, one at work at a time.

A contender is a class in a module that only its process imports. Its constructor takes the
`Workload` and does no work but imports; `prepare()` makes model and data and returns facts to
print; `step()` does the work once and returns its seconds.
"""

import contextlib
import importlib
import multiprocessing
import os
import sys
import time
import traceback

import host
import numpy as np

PAUSE = 0.3  # seconds, in which the threads of the last contender stop spinning
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # Several processes share a GPU.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


class Contender:
    """A process that makes a contender and calls its methods on request.

    Args:
        title: str, for tables.
        kind: str, `"module:Class"`.
        workload: `Workload`.
        environment: optional dict of environment variables.
    """

    def __init__(self, title, kind, workload, environment=None):
        self.title, self.kind, self.workload = title, kind, workload
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, kind, workload, environment or {})
        self._process = context.Process(target=_serve, args=arguments)
        self._process.start()
        theirs.close()

    def call(self, method, *arguments):
        """What a method of the contender returns.

        Raises:
            RuntimeError: with the traceback, if it fails there or the process ends.
        """
        self._pipe.send((method, arguments))
        try:
            succeeded, result = self._pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            succeeded, result = False, f"its process ended with exit code {code} (out of memory?)"
        if not succeeded:
            raise RuntimeError(f"`{method}` of '{self.title}' failed: {result}")
        return result

    def close(self):
        self._pipe.close()
        self._process.join()


@contextlib.contextmanager
def started(contenders):
    """Closes them all in the end."""
    with contextlib.ExitStack() as stack:
        for contender in contenders:
            stack.callback(contender.close)
        yield contenders


def run_rounds(contenders, rounds, steps):
    """All contenders take their turns, round after round, each time another one first.

    Args:
        contenders: list of `Contender`, prepared.
        rounds: int.
        steps: int, steps of a contender in a round.

    Returns:
        Seconds of the first calls, an array `(contenders,)`; mean seconds of a step in each turn,
        an array `(rounds, contenders)`.
    """
    first = []
    for contender in contenders:
        first.append(contender.call("step"))
        contender.call("step")
        print(f"first call of {contender.title}: {first[-1]:.2f} s", file=sys.stderr, flush=True)
    seconds = np.empty((rounds, len(contenders)))
    for number, row in enumerate(seconds):
        for k in np.roll(np.arange(len(contenders)), -number):
            time.sleep(PAUSE)
            row[k] = np.mean([contenders[k].call("step") for _ in range(steps)])
        times = ", ".join(f"{value:.3f}" for value in row)
        print(f"round {number + 1} of {rounds}: {times} s", file=sys.stderr, flush=True)
    return np.array(first), seconds


def _serve(pipe, kind, workload, environment):
    os.environ.update({**ENVIRONMENT, **os.environ, **environment})
    if "PYTHONPATH" in environment:
        sys.path.insert(0, environment["PYTHONPATH"])
    if hasattr(os, "sched_setaffinity"):
        # The one limit on threads that all frameworks know.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: workload.threads])
    contender = None
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if contender is None:
                module, name = kind.split(":")
                contender = getattr(importlib.import_module(module), name)(workload)
            function = host.memory if method == "host_memory" else getattr(contender, method)
            pipe.send((True, function(*arguments)))
        except Exception:
            pipe.send((False, traceback.format_exc()))
