"""Two networks compared seed by seed."""

import itertools
import math
import statistics
from typing import NamedTuple

from keras_atinet.evaluation import delta_m

_TOLERANCE = 1e-12


class Comparison(NamedTuple):
    """Paired differences of one measure.

    Attributes:
        task, metric: str; `task` is "" for delta-m.
        differences: list of float, one for each seed.
        wins: int, the seeds in which the first network is better.
        p_value: float, see `sign_flip_test`.
    """

    task: str
    metric: str
    differences: list
    wins: int
    p_value: float


def sign_flip_test(differences):
    """Exact two-sided test of whether paired differences are centred at 0.

    If they were, each could as well have had the other sign:
    `p = share of the 2^n choices of signs s with abs(sum(s d)) >= abs(sum(d))`. The smallest p
    of n pairs is `2^(1 - n)`, so that fewer than six can never fall below 0.05.

    Args:
        differences: sequence of float, at most 20.

    Returns:
        float in (0, 1].

    Raises:
        ValueError: if there are none or more than 20.

    Reference: Fisher, "The Design of Experiments", 1935, section 21.
    """
    if not 1 <= len(differences) <= 20:
        raise ValueError(
            "`sign_flip_test` tries all signs of 1 to 20 differences. "
            f"Received: {len(differences)}."
        )
    observed = abs(math.fsum(differences))
    sums = [
        abs(math.fsum(sign * d for sign, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    # Rounding must not tell a sum from itself in another order.
    slack = _TOLERANCE * max(1.0, sum(map(abs, differences)))
    return statistics.fmean(total >= observed - slack for total in sums)


def compare(first, second, tasks, metrics):
    """Compares two networks on the seeds that both have.

    Args:
        first, second: dicts, seed -> task name -> metric name -> float.
        tasks: list of `Task`.
        metrics: sequence of `(task name, metric name)`.

    Returns:
        list of `Comparison`: delta-m of the first relative to the second by both definitions (left
        out where it is not defined), then each metric that has values. Empty if no seed is common.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return []
    comparisons = []
    for average in ("metrics", "tasks"):
        gains = [delta_m(first[seed], second[seed], tasks, average) for seed in seeds]
        if all(map(math.isfinite, gains)):
            comparisons.append(_comparison("", f"delta-m over {average}", gains, True))
    better = {
        (task.name, metric.name): metric.higher_is_better
        for task in tasks
        for metric in task.metrics()
    }
    for task, metric in metrics:
        gaps = [first[seed][task][metric] - second[seed][task][metric] for seed in seeds]
        if not any(map(math.isnan, gaps)):
            comparisons.append(_comparison(task, metric, gaps, better[task, metric]))
    return comparisons


def _comparison(task, metric, differences, higher_is_better):
    sign = 1 if higher_is_better else -1
    wins = sum(sign * difference > 0 for difference in differences)
    return Comparison(task, metric, differences, wins, sign_flip_test(differences))
