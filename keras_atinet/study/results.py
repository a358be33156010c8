"""Reads what the runs of a study have written."""

import csv
import io
from typing import NamedTuple

from keras_atinet import runs
from keras_atinet.evaluation.results import from_json, to_json
from keras_atinet.files import read_json, write_text
from keras_atinet.study.training import RESULTS


class Result(NamedTuple):
    """A finished run.

    Attributes:
        path: `pathlib.Path` of the run.
        model, balancer: str, keys of `NETWORKS` and `BALANCERS`.
        seed: int.
        backend: str.
        parameters: int, number of trainable ones.
        seconds, seconds_per_epoch: float, of training without evaluation; all, and the median.
        scores: dict, protocol -> task name -> metric name -> float, NaN without labels.
        class_iou: dict, protocol -> task name -> class name -> float, NaN for absent classes. Runs
            from before have none.
    """

    path: object
    model: str
    balancer: str
    seed: int
    backend: str
    parameters: int
    seconds: float
    seconds_per_epoch: float
    scores: dict
    class_iou: dict = {}


def collect(folder):
    """The finished runs of a study, whichever command trained them.

    Args:
        folder: `pathlib.Path`.

    Returns:
        list of `Result`.
    """
    results = []
    for file in sorted(folder.glob(f"*/{RESULTS}")):
        found = {"class_iou": {}, **from_json(read_json(file))}
        config = runs.Run(file.parent).read_config()
        names = ("parameters", "seconds", "seconds_per_epoch", "scores", "class_iou")
        result = Result(
            file.parent,
            *(config["settings"][name] for name in ("model", "balancer", "seed")),
            config["versions"]["backend"],
            *(found[name] for name in names),
        )
        results.append(result)
    return results


def write_csv(path, results):
    """A row for each run, protocol, task and metric or class; no value where there are no labels.

    Args:
        path: `pathlib.Path`.
        results: list of `Result`.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    facts = ("model", "balancer", "seed", "backend", "parameters", "seconds")
    writer.writerow([*facts, "protocol", "task", "metric", "value"])
    for result in results:
        own = [getattr(result, name) for name in facts]
        for protocol, tasks in result.scores.items():
            for task, metrics in tasks.items():
                classes = result.class_iou.get(protocol, {}).get(task, {})
                values = metrics | {f"iou of {name}": iou for name, iou in classes.items()}
                writer.writerows([*own, protocol, task, *pair] for pair in to_json(values).items())
    write_text(path, text.getvalue())
