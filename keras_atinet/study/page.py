"""The page about a study."""

import math
import statistics

from keras_atinet import runs
from keras_atinet.report import page
from keras_atinet.report.charts import line_chart
from keras_atinet.report.curves import values
from keras_atinet.report.run_page import run_section
from keras_atinet.study.summary import columns
from keras_atinet.study.tables import comparison_tables, limits_of_test, score_table, title

PROTOCOL_TITLES = {
    "paper": "Mean of the last epochs",
    "clean": "One checkpoint, chosen on held-out training samples",
}


def study_page(name, facts, notes, summaries, results, tasks):
    """A page with the tables of a study, its curves, and one run in detail.

    Args:
        name: str, the title.
        facts: list of `(name, text)`, how the study came about.
        notes: dict, protocol -> sentences that explain its table.
        summaries: dict, protocol -> list of `Row`.
        results: list of `Result`.
        tasks: list of `Task`.

    Returns:
        str, HTML.
    """
    parts = [page.facts(facts)]
    for protocol, rows in summaries.items():
        header, cells = score_table(rows, tasks)
        muted = [number for number, row in enumerate(rows) if row.is_published]
        parts += [
            page.heading(PROTOCOL_TITLES[protocol]),
            page.paragraph(notes[protocol]),
            page.table(header, cells, muted, wide=True),
        ]
        for pair, count, header, cells in comparison_tables(rows, tasks):
            parts += [
                page.heading(pair, 3),
                page.table(header, cells),
                page.paragraph(limits_of_test(count)),
            ]
    rows = next(iter(summaries.values()))
    titles = {row.key: row.title for row in rows if not row.is_published}
    parts += [
        page.heading("Learning curves on the held-out samples"),
        page.paragraph("The mean over the seeds; ATI-Net's second phase begins halfway."),
        page.charts(_curves(results, tasks, titles)),
    ]
    chosen = _in_detail(results)
    parts.append(run_section(runs.Run(chosen.path))[0])
    return page.document(name, "\n".join(parts))


def _in_detail(results):
    return next((result for result in results if result.model == "atinet"), results[-1])


def _curves(results, tasks, titles):
    histories = {}
    for result in results:
        single = result.model == "single"
        key = ("single", "") if single else (result.model, result.balancer)
        histories.setdefault(key, []).append(runs.Run(result.path).rows())
    figures = []
    shown = [(task.name, "loss") for task in tasks] + columns(tasks)
    for task, metric in sorted(shown, key=lambda pair: [t.name for t in tasks].index(pair[0])):
        series = []
        for number, (key, network) in enumerate(titles.items()):
            lines = [values(rows, f"val_{task}_{metric}") for rows in histories[key]]
            lines = [line for line in lines if not all(map(math.isnan, line))]
            if lines:
                means = [statistics.fmean(epoch) for epoch in zip(*lines, strict=False)]
                series.append((network, means, False, number))
        name = f"{task}: {'loss' if metric == 'loss' else title(metric).removesuffix(', %')}"
        figures.append((line_chart(name, series), f"{name} over the epochs"))
    return figures
