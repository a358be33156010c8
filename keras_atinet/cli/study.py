"""What the commands for studies and reports do."""

import pathlib
import shlex
import sys

import keras

from keras_atinet import models, report, runs, study
from keras_atinet.cli.commands import absolute, check_num_samples, two_splits
from keras_atinet.runs import environment
from keras_atinet.runs.recording import write_text
from keras_atinet.study.page import PROTOCOL_TITLES, study_page
from keras_atinet.study.plan import SCALES, check_settings, plan, scored_epochs
from keras_atinet.study.results import collect, write_csv
from keras_atinet.study.tables import comparison_tables, limits_of_test, markdown, score_table

OVERRIDES = ("image_size", "filters", "epochs", "batch_size", "learning_rate", "dtype")
OVERRIDES += ("num_samples",)


def reproduce(arguments, argv):
    """Trains the runs of a study that are not finished, and writes its tables and its page."""
    out = pathlib.Path(arguments.out)
    hold_out, protocols = study.PROTOCOLS[arguments.protocol]
    settings = {**SCALES[arguments.scale], "hold_out": hold_out, "averaging": "batch"}
    explicit = {key: value for key, value in vars(arguments).items() if key in OVERRIDES}
    check_num_samples(explicit, arguments.data)
    settings |= explicit
    settings["data"] = absolute(arguments.data)
    settings["splits"] = arguments.splits or two_splits(settings["data"])
    source = runs.open_split(settings, settings["splits"][0])
    tasks = runs.source_tasks(source)
    names = [task.name for task in tasks]
    check_settings(out, settings)
    trials = plan(settings, names, arguments.models, arguments.balancers, range(arguments.seeds))
    command = shlex.join(["keras-atinet", *argv])
    try:
        busy = _train(out, trials, command, arguments.verbose)
    except KeyboardInterrupt:
        print(f"\nStopped. Go on with the same command: {command}")
        return 130
    results = collect(out)
    if not results:
        print("Other processes train all runs; there is nothing to tabulate yet.")
        return 0
    facts = _facts(command, settings, len(results), busy)
    _write(out, facts, settings, results, tasks, protocols)
    return 0


def make_report(arguments, argv):
    """Writes a page about some runs."""
    paths = [pathlib.Path(path) for path in arguments.runs]
    text = report.run_report(paths, arguments.pictures, arguments.num_samples)
    file = pathlib.Path(arguments.out or paths[0] / "report.html")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    print(f"{file} ({len(text) / 2**20:.1f} MB)")


def _train(out, trials, command, verbose):
    # Returns the names of the runs that other processes train at this moment.
    busy = []
    for number, trial in enumerate(trials, 1):
        run = runs.Run(out / trial.name)
        if (run.path / "results.json").is_file():
            continue
        print(f"[{number}/{len(trials)}] {trial.name}", flush=True)
        try:
            study.train_trial(run, trial.settings, command, verbose or 0)
        except FileExistsError as error:
            print(f"Left out for now: {error}", file=sys.stderr)
            busy.append(trial.name)
        # Or compiled steps of all the networks stay in memory.
        keras.backend.clear_session()
    return busy


def _write(out, facts, settings, results, tasks, protocols):
    mtan = _mtan_parameters(results, settings, tasks)
    summaries = {p: study.summarize(results, p, tasks, mtan) for p in protocols}
    notes = {protocol: _note(protocol, settings, summaries[protocol]) for protocol in protocols}
    write_csv(out / "results.csv", results)
    lines = [f"- {name}: {text}" for name, text in facts]
    for protocol, rows in summaries.items():
        lines += ["", f"## {PROTOCOL_TITLES[protocol]}", "", notes[protocol], ""]
        lines.append(markdown(*score_table(rows, tasks)))
        for pair, count, header, cells in comparison_tables(rows, tasks):
            lines += ["", f"### {pair}", "", markdown(header, cells), "", limits_of_test(count)]
    text = "# Table I\n\n" + "\n".join(lines) + "\n"
    write_text(out / "table1.md", text)
    print(f"\n{text}\n{out / 'results.csv'}\n{out / 'table1.md'}", flush=True)
    try:
        html = study_page("Table I", facts, notes, summaries, results, tasks)
    except ImportError as error:
        print(f"No report.html: {error}", file=sys.stderr)
        return
    write_text(out / "report.html", html)
    print(out / "report.html")


def _facts(command, settings, count, busy):
    size = " x ".join(map(str, settings["image_size"]))
    # A page is passed on: it has no paths of this machine but those of the command.
    data = pathlib.Path(settings["data"]).name
    facts = [
        ("command", command),
        ("data", f"{data}, {size}, splits {' and '.join(settings['splits'])}"),
        ("filters", " ".join(map(str, settings["filters"]))),
        (
            "training",
            f"{settings['epochs']} epochs, batches of {settings['batch_size']}, Adam "
            f"{settings['learning_rate']:g} halved halfway, {settings['dtype']}, no augmentation",
        ),
        ("finished runs", str(count)),
        ("versions", ", ".join(f"{name} {text}" for name, text in environment.versions().items())),
        ("machine", ", ".join(f"{name} {text}" for name, text in environment.machine().items())),
    ]
    return [*facts, ("trained elsewhere at this moment", ", ".join(busy))] if busy else facts


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
    size = (*settings["image_size"], 3)
    # Nothing is allocated in this scope.
    with keras.StatelessScope():
        model = models.MTAN(tasks=tasks, input_shape=size, filters=settings["filters"])
    return runs.count_parameters(model)
