"""`keras-atinet reproduce`."""

import argparse
import pathlib
import shlex
import sys

import keras

from keras_atinet import runs, study
from keras_atinet.balancing import BALANCERS
from keras_atinet.cli.options import COUNT, FILTERS, IMAGE_SIZE, PRECISIONS, SOURCES, add_verbose
from keras_atinet.cli.sources import absolute, check_num_samples, two_splits
from keras_atinet.stopping import exit_status
from keras_atinet.study.output import study_facts, write_tables

SUMMARY = (
    "Train the networks of the paper the paper's way and tabulate their scores. The same "
    "command goes on where it was stopped, or adds networks, balancers and seeds."
)
_OVERRIDES = {
    "image_size": IMAGE_SIZE,
    "filters": FILTERS,
    "epochs": COUNT,
    "batch_size": COUNT,
    "num_samples": COUNT,
    "learning_rate": {"type": float, "metavar": "X"},
    "dtype": {"choices": PRECISIONS},
}


def add_options(parser):
    add = parser.add_argument
    add("table", choices=("table1",), help="Table I: networks and their scores")
    add("--data", required=True, metavar="SOURCE", help="'rooms', or a " + SOURCES)
    add("--out", required=True, metavar="DIR", help="folder of the study")
    add(
        "--scale",
        choices=list(study.SCALES),
        default="small",
        help="sizes: paper (288 x 384, 200 epochs), small (64 x 96, a quarter of the filters, 30 "
        "epochs), tiny (to see that it runs) (default: %(default)s)",
    )
    add(
        "--protocol",
        choices=list(study.PROTOCOLS),
        default="both",
        help="paper: train on all, score the last epochs; clean: hold out a tenth to choose a "
        "checkpoint; both scores of networks trained on nine tenths (default: %(default)s)",
    )
    add(
        "--models",
        nargs="+",
        choices=list(study.NETWORKS),
        default=list(study.NETWORKS),
        help="networks; single stands for one for each task (default: all)",
    )
    names = list(BALANCERS)
    add("--balancers", nargs="+", choices=names, default=["dwa"], help="(default: dwa)")
    add("--seeds", default=3, help="from 0 (default: %(default)s)", **COUNT)
    add("--splits", nargs=2, metavar=("TRAIN", "TEST"), help="(default: the first two)")
    group = parser.add_argument_group("instead of what the scale says")
    for name, keywords in _OVERRIDES.items():
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, default=argparse.SUPPRESS, **keywords)
    add_verbose(parser, "progress bars, or a line per epoch (default: 0)")


def run(arguments, argv):
    """Trains the runs of a study that are not finished, and writes its tables and its page."""
    out = pathlib.Path(arguments.out)
    hold_out, protocols = study.PROTOCOLS[arguments.protocol]
    settings = _settings(arguments, hold_out)
    source = runs.get_source(settings, settings["splits"][0])
    tasks = runs.get_tasks(source)
    study.check_settings(out, settings)
    trials = study.plan(
        settings,
        task_names=[task.name for task in tasks],
        models=arguments.models,
        balancers=arguments.balancers,
        seeds=range(arguments.seeds),
    )
    command = shlex.join(["keras-atinet", *argv])
    try:
        busy = _train(out, trials, command, arguments.verbose or 0)
    except KeyboardInterrupt as interrupt:
        print(f"\nStopped. Go on with the same command: {command}")
        return exit_status(interrupt)
    results = study.collect(out)
    if not results:
        print("Other processes train all runs; there is nothing to tabulate yet.")
        return 0
    write_tables(
        out,
        results=results,
        settings=settings,
        tasks=tasks,
        protocols=protocols,
        facts=study_facts(command, settings, num_finished=len(results), busy=busy),
    )
    return 0


def _settings(arguments, hold_out):
    explicit = {key: value for key, value in vars(arguments).items() if key in _OVERRIDES}
    check_num_samples(explicit, arguments.data)
    settings = {**study.SCALES[arguments.scale], "hold_out": hold_out, "averaging": "batch"}
    settings |= explicit
    settings["data"] = absolute(arguments.data)
    settings["splits"] = arguments.splits or two_splits(settings["data"])
    return settings


def _train(out, trials, command, verbose):
    # Returns the names of the runs that other processes are training.
    busy = []
    for number, trial in enumerate(trials, 1):
        folder = runs.Run(out / trial.name)
        if (folder.path / "results.json").is_file():
            continue
        print(f"[{number}/{len(trials)}] {trial.name}", flush=True)
        try:
            study.train_trial(folder, trial.settings, command, verbose)
        except FileExistsError as error:
            print(f"Left out for now: {error}", file=sys.stderr)
            busy.append(trial.name)
        # Or compiled steps of all the networks stay in memory.
        keras.backend.clear_session()
    return busy
