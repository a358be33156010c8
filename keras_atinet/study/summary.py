"""From the results of runs to the rows of a table: one for each network and balancer."""

import math
import statistics
from dataclasses import dataclass, field

from keras_atinet.evaluation import delta_m
from keras_atinet.settings import NETWORKS
from keras_atinet.study.published import METRICS, published

AVERAGES = ("metrics", "tasks")


@dataclass
class Row:
    """What is known about one network, trained with one balancer.

    Attributes:
        title: str.
        key: `(model, balancer)`; the balancer of published rows is None.
        relative: float, trainable parameters relative to MTAN.
        scores: dict, seed -> task name -> metric name -> float. Published rows have one seed.
        seconds: list of float, the training time of each seed.
        gains: dict, definition of delta-m -> list of percent, one for each seed; empty if there is
            no One Task network for each task.
    """

    title: str
    key: tuple
    relative: float
    scores: dict
    seconds: list = field(default_factory=list)
    gains: dict = field(default_factory=dict)

    @property
    def is_published(self):
        return self.key[1] is None

    def values(self, task, metric):
        """The values of the seeds, without NaN."""
        found = [scores.get(task, {}).get(metric, math.nan) for scores in self.scores.values()]
        return [value for value in found if not math.isnan(value)]


def columns(tasks):
    """The metrics that the tables show: those of Table I, or all of a task that is not in it.

    Returns:
        list of `(task name, metric name)`.
    """
    shown = []
    for task in tasks:
        known = [name for key, name in METRICS if key == task.name]
        names = known or [metric.name for metric in task.metrics()]
        shown.extend((task.name, name) for name in names)
    return shown


def summarize(results, protocol, tasks, mtan_parameters, with_published=True):
    """The rows of a table, in the order of `NETWORKS`, each before the published one.

    Delta-m compares a seed with the mean of One Task over its seeds, on the metrics shown.

    Args:
        results: list of `Result`.
        protocol: `"paper"` or `"clean"`.
        tasks: list of `Task`.
        mtan_parameters: int, what parameters are relative to.
        with_published: bool, whether to add the rows of Table I.

    Returns:
        list of `Row`.
    """
    groups = {}
    for result in results:
        if protocol in result.scores:
            key = ("single", "") if result.model == "single" else (result.model, result.balancer)
            groups.setdefault(key, []).append(result)
    several = len({balancer for model, balancer in groups if model != "single"}) > 1
    shown = columns(tasks)
    rows = []
    for model, title in NETWORKS.items():
        for key in sorted(key for key in groups if key[0] == model):
            name = f"{title}, {key[1]}" if several and key[1] else title
            rows.append(_row(name, key, groups[key], protocol, shown, mtan_parameters))
    one_task = next((row for row in rows if row.key[0] == "single"), None)
    baseline = _mean(one_task, shown) if one_task else {}
    _add_gains(rows, baseline, tasks)
    return _with_published(rows, tasks) if with_published else rows


def _row(title, key, results, protocol, shown, mtan_parameters):
    scores, seconds, parameters = {}, {}, {}
    for result in results:
        seed = result.seed
        tasks = scores.setdefault(seed, {})
        for task, metrics in result.scores[protocol].items():
            kept = {name: metrics[name] for key, name in shown if key == task and name in metrics}
            tasks[task] = kept
        # One Task is a network for each task.
        seconds[seed] = seconds.get(seed, 0) + result.seconds
        parameters[seed] = parameters.get(seed, 0) + result.parameters
    relative = max(parameters.values()) / mtan_parameters
    return Row(title, key, relative, dict(sorted(scores.items())), list(seconds.values()))


def _mean(row, shown):
    # A task without labels keeps its place, without a value; one without a network has none.
    means = {task: {} for scores in row.scores.values() for task in scores}
    for task, metric in shown:
        values = row.values(task, metric)
        if values:
            means[task][metric] = statistics.fmean(values)
    return means


def _add_gains(rows, baseline, tasks):
    if set(baseline) != {task.name for task in tasks} or not any(baseline.values()):
        return
    for row in rows:
        complete = [scores for scores in row.scores.values() if set(scores) == set(baseline)]
        row.gains = {
            average: [delta_m(scores, baseline, tasks, average) for scores in complete]
            for average in AVERAGES
        }


def _with_published(rows, tasks):
    known = {task for task, _ in METRICS}
    if not {task.name for task in tasks} & known:
        return rows
    _, one_task = published("single")
    merged = []
    for index, row in enumerate(rows):
        merged.append(row)
        model = row.key[0]
        is_last = model not in {following.key[0] for following in rows[index + 1 :]}
        if not is_last or published(model) is None:
            continue
        relative, scores = published(model)
        paper = Row(f"{NETWORKS[model]}, published", (model, None), relative, {0: scores})
        if {task.name for task in tasks} == known:
            _add_gains([paper], one_task, tasks)
        merged.append(paper)
    return merged
