"""Results, dicts task name -> metric name -> float, as text and as JSON."""

import math


def is_missing(values):
    """Whether a task had no valid pixel, from its results, a dict name -> float.

    A network that predicts NaN has results that are numbers among them, the share of pixels that
    are right for instance.
    """
    return all(math.isnan(value) for value in values.values())


def table(results, baseline=None, title="model"):
    """Lines of text: a row for each loss and metric, "-" for a task without any valid pixel."""
    lines = [f"{'':32}{title:>12}" + (f"{'constant':>12}" if baseline else "")]
    for task, values in results.items():
        shown, constants = text(values), text((baseline or {}).get(task, {}))
        lines += [
            f"{task:14}{name:18}{shown[name]:>12}{constants.get(name, ''):>12}" for name in shown
        ]
    missing = [task for task, values in results.items() if is_missing(values)]
    if missing:
        lines.append(f"-: the data have no labels of {', '.join(missing)}")
    return "\n".join(line.rstrip() for line in lines)


def text(values):
    """Results of a task as text, "-" if it had no valid pixel."""
    missing = is_missing(values)
    return {name: "-" if missing else f"{value:.4f}" for name, value in values.items()}


def to_json(values):
    """Results, dicts of dicts of float, as JSON can hold them: None where one is not finite."""
    if isinstance(values, dict):
        return {name: to_json(value) for name, value in values.items()}
    return values if math.isfinite(values) else None


def from_json(values):
    """What `to_json` was given, NaN where one was not finite."""
    if isinstance(values, dict):
        return {name: from_json(value) for name, value in values.items()}
    return math.nan if values is None else values
