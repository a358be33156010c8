"""The machine that the benchmarks run on: its processor, cores and memory.

Without Keras, which the process that hands out the turns must not start.
"""

import os
import platform
import resource
import sys


def processor():
    """The name of the processor."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def cores():
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def memory():
    """Bytes of memory that this process holds now, and at its peak."""
    try:
        with open("/proc/self/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return tuple(1024 * int(lines[key].split()[0]) for key in ("VmRSS", "VmHWM"))
    except (OSError, KeyError):
        # Without /proc the peak must do for both; macOS counts it in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak, peak
