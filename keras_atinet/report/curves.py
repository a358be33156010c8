"""The charts of a run: what each task learnt, and its weight."""

from keras_atinet.report.charts import line_chart
from keras_atinet.runs.schedules import second_phase


def learning_curves(run, tasks):
    """A chart for each loss and metric, in training and on the held-out samples.

    Args:
        run: `runs.Run`.
        tasks: list of `Task`.

    Returns:
        list of `(figure, description)`.
    """
    rows = run.rows()
    switch = second_phase(run.read_settings()) or None
    figures = []
    for task in tasks:
        for name in ("loss", *(metric.name for metric in task.metrics())):
            column = f"{task.name}_{name}"
            series = [
                ("training", values(rows, column), True, 0),
                ("held out", values(rows, f"val_{column}"), False, 1),
            ]
            title = f"{task.name}: {name.replace('_', ' ')}"
            figures.append((line_chart(title, series, switch), f"{title} over the epochs"))
    return figures


def weight_curves(run, tasks):
    """A chart of the weights of the tasks, or nothing for one task.

    Returns:
        list of `(figure, description)`.
    """
    rows = run.rows()
    if len(tasks) < 2:
        return []
    series = [
        (task.name, values(rows, f"{task.name}_weight"), False, number)
        for number, task in enumerate(tasks)
    ]
    figure = line_chart("weights of the tasks", series, second_phase(run.read_settings()) or None)
    return [(figure, "weights of the tasks over the epochs")]


def values(rows, column):
    """A column of a history as floats, NaN where it is empty."""
    return [float(row.get(column) or "nan") for row in rows]
