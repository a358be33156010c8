"""What a study writes: `results.csv`, `table1.md` and `report.html`."""

import pathlib
import sys

import keras

from keras_atinet import runs
from keras_atinet.files import write_text
from keras_atinet.runs import environment
from keras_atinet.study.page import PROTOCOL_TITLES, study_page
from keras_atinet.study.planning import scored_epochs
from keras_atinet.study.results import write_csv
from keras_atinet.study.summary import summarize
from keras_atinet.study.tables import comparison_tables, limits_of_test, markdown, score_table

_TITLE = "Table I"


def write_tables(folder, results, settings, tasks, protocols, facts):
    """Writes the results of a study as a table, as text and as a page, and prints the text.

    Args:
        folder: `pathlib.Path` of the study.
        results: list of `Result`.
        settings: dict, common to all runs.
        tasks: list of `Task`.
        protocols: sequence of `"paper"` and `"clean"`, the scores to show.
        facts: list of `(name, text)`, how the study came about.
    """
    mtan = _mtan_parameters(results, settings, tasks)
    summaries = {p: summarize(results, p, tasks, mtan) for p in protocols}
    notes = {protocol: _note(protocol, settings, summaries[protocol]) for protocol in protocols}
    write_csv(folder / "results.csv", results)
    lines = [f"- {name}: {text}" for name, text in facts]
    for protocol, rows in summaries.items():
        lines += ["", f"## {PROTOCOL_TITLES[protocol]}", "", notes[protocol], ""]
        lines.append(markdown(*score_table(rows, tasks)))
        for pair, count, header, cells in comparison_tables(rows, tasks):
            lines += ["", f"### {pair}", "", markdown(header, cells), "", limits_of_test(count)]
    text = f"# {_TITLE}\n\n" + "\n".join(lines) + "\n"
    write_text(folder / "table1.md", text)
    print(f"\n{text}\n{folder / 'results.csv'}\n{folder / 'table1.md'}", flush=True)
    try:
        html = study_page(
            name=_TITLE,
            facts=facts,
            notes=notes,
            summaries=summaries,
            results=results,
            tasks=tasks,
        )
    except ImportError as error:
        print(f"No report.html: {error}", file=sys.stderr)
        return
    write_text(folder / "report.html", html)
    print(folder / "report.html")


def study_facts(command, settings, num_finished, busy):
    """How a study came about.

    Args:
        command: str.
        settings: dict, common to all runs.
        num_finished: int, the number of finished runs.
        busy: list of str, the names of the runs that other processes are training.

    Returns:
        list of `(name, text)`.
    """
    size = " x ".join(map(str, settings["image_size"]))
    # A page is passed on: it has no paths of this machine but those of the command.
    data = pathlib.Path(settings["data"]).name
    facts = [
        ("command", command),
        ("data", f"{data}, {size}, splits {' and '.join(settings['splits'])}"),
        *_encoder(settings),
        ("filters", " ".join(map(str, settings["filters"]))),
        (
            "training",
            f"{settings['epochs']} epochs, batches of {settings['batch_size']}, "
            f"{runs.optimizer_line(settings)}, {settings['dtype']}, "
            f"{'no' if settings['augment'] == 'none' else settings['augment']} augmentation",
        ),
        ("finished runs", str(num_finished)),
        ("versions", ", ".join(f"{name} {text}" for name, text in environment.versions().items())),
        ("machine", ", ".join(f"{name} {text}" for name, text in environment.machine().items())),
    ]
    return [*facts, ("trained elsewhere at this moment", ", ".join(busy))] if busy else facts


def _encoder(settings):
    if settings["encoder"] is not None:
        names = [settings[key] for key in ("encoder", "encoder_weights")]
        shown = [pathlib.Path(name).name for name in names if name]
        yield "encoder", f"{', '.join(shown)} (SegNet in the paper)"


def _note(protocol, settings, rows):
    epochs = len(scored_epochs(settings["epochs"]))
    share = settings["hold_out"]
    data = f"split '{settings['splits'][1]}'"
    if protocol == "paper":
        text = (
            f"Scores on the {data}, averaged over its batches and then over the last {epochs} "
            "epochs, as in the paper. "
        )
        if share:
            text += (
                f"The networks learnt from {1 - share:.0%} of the training samples, because the "
                "other table needs a part held out; `--protocol paper` trains on all. "
            )
    else:
        text = (
            f"Scores on the {data}, all pixels pooled, of the epoch with the least sum of losses "
            f"on {share:.0%} of the training samples, which were held out. "
        )
    text += (
        "Mean ± standard deviation over the seeds. Delta-m is relative to the mean of One Task on "
        "the metrics shown: the mean over the metrics, and the mean over the tasks of the mean "
        "over a task's metrics. Training time is without evaluation."
    )
    if any(row.is_published for row in rows):
        text += " Published: Table I of the paper, NYUv2 at 288 x 384, 200 epochs."
    return text


def _mtan_parameters(results, settings, tasks):
    for result in results:
        if result.model == "mtan":
            return result.parameters
    # Nothing is allocated in this scope, and nothing loaded.
    with keras.StatelessScope():
        network = {**settings, "model": "mtan", "encoder_weights": None, "decoder": None}
        model = runs.get_network(network, tasks)
    return runs.count_parameters(model)
