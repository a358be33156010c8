"""Tables of a study, as rows of text for Markdown and HTML."""

import statistics

from keras_atinet.study.comparison import compare
from keras_atinet.study.plan import NETWORKS
from keras_atinet.study.published import is_share
from keras_atinet.study.summary import AVERAGES, columns

_TITLES = {
    "mean_iou": "mIoU",
    "pixel_accuracy": "pixel accuracy",
    "abs_error": "absolute error, m",
    "rel_error": "relative error",
    "mean_angle": "mean angle",
    "median_angle": "median angle",
    "within_11.25": "within 11.25°",
    "within_22.5": "within 22.5°",
    "within_30": "within 30°",
}
_PAIR = ("atinet", "mtan")


def score_table(rows, tasks):
    """The table of networks and scores.

    Args:
        rows: list of `Row`.
        tasks: list of `Task`.

    Returns:
        The header, a list of str, and the rows, lists of str.
    """
    shown = columns(tasks)
    header = ["network", "parameters / MTAN", *(title(metric) for _, metric in shown)]
    header += [f"delta-m over {average}, %" for average in AVERAGES]
    header += ["seeds", "training time"]
    cells = []
    for row in rows:
        line = [row.title, f"{row.relative:.2f}"]
        line += [score(row.values(task, metric), metric) for task, metric in shown]
        line += [_gain(row.gains.get(average, [])) for average in AVERAGES]
        line += ["-", "-"] if row.is_published else [_seeds(row), duration(row.seconds)]
        cells.append(line)
    return header, cells


def comparison_tables(rows, tasks):
    """ATI-Net against MTAN over the seeds that both have, for each balancer that both have.

    Returns:
        list of `(title, number of seeds, header, rows of str)`.
    """
    scores = {row.key: row.scores for row in rows if not row.is_published}
    titles = {row.key: row.title for row in rows}
    tables = []
    for model, balancer in scores:
        other = (_PAIR[1], balancer)
        if model != _PAIR[0] or other not in scores:
            continue
        found = compare(scores[model, balancer], scores[other], tasks, columns(tasks))
        if not found:
            continue
        count = len(found[0].differences)
        name = f"{titles[model, balancer]} - {titles[other]}"
        header = ["measure", "mean difference", f"better of {count}", "p"]
        lines = [[title(c.metric), _difference(c), str(c.wins), f"{c.p_value:.3g}"] for c in found]
        tables.append((name, count, header, lines))
    return tables


def limits_of_test(count):
    """A sentence on what `count` seeds can show."""
    least = 2.0 ** (1 - count)
    text = (
        f"p is that of an exact sign-flip test over {count} paired seed{'s' * (count > 1)}: the "
        f"share of all sign choices of the differences that are as far from 0. It cannot be less "
        f"than {least:.2g} here"
    )
    if least > 0.05:
        text += ", so no difference can be significant at 0.05, however large; that takes six seeds"
    return f"{text}. The measures are not independent, and p is not corrected for their number."


def markdown(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def title(metric):
    """What a table calls a metric."""
    text = _TITLES.get(metric, metric)
    return f"{text}, %" if is_share(metric) else text


def score(values, metric):
    """Mean and standard deviation of some values of a metric."""
    if not values:
        return "-"
    factor, digits = (100, 2) if is_share(metric) else (1, 4 if "error" in metric else 2)
    return _spread([factor * value for value in values], f".{digits}f")


def duration(seconds):
    """The mean of some times, readable."""
    if not seconds:
        return "-"
    mean = statistics.fmean(seconds)
    if mean < 60:
        return f"{mean:.1f} s"
    minutes = round(mean / 60)
    return f"{minutes} min" if minutes < 120 else f"{mean / 3600:.1f} h"


def network_title(model):
    return NETWORKS[model]


def _seeds(row):
    return str(len(row.scores))


def _gain(values):
    return _spread(values, "+.2f") if values else "-"


def _difference(comparison):
    if not comparison.task:
        return f"{_spread(comparison.differences, '+.2f')} %"
    metric = comparison.metric
    factor, digits = (100, 2) if is_share(metric) else (1, 4 if "error" in metric else 2)
    return _spread([factor * value for value in comparison.differences], f"+.{digits}f")


def _spread(values, form):
    mean = format(statistics.fmean(values), form)
    if len(values) < 2:
        return mean
    return f"{mean} ± {format(statistics.stdev(values), form.lstrip('+'))}"
