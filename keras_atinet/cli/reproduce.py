"""`keras-atinet reproduce`."""

import pathlib
import shlex
import sys

import keras

from keras_atinet import runs, study
from keras_atinet.cli.options.reproduce import OVERRIDES
from keras_atinet.cli.sources import absolute, check_num_samples, two_splits
from keras_atinet.settings import PROTOCOLS, SCALES
from keras_atinet.stopping import exit_status
from keras_atinet.study.output import study_facts, write_tables


def run(arguments, argv):
    """Trains the runs of a study that are not finished, and writes its tables and its page."""
    out = pathlib.Path(arguments.out)
    hold_out, protocols = PROTOCOLS[arguments.protocol]
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
    left = [trial for trial in trials if not (out / trial.name / "results.json").is_file()]
    check_networks(left, tasks)
    command = shlex.join(["keras-atinet", *argv])
    try:
        busy = _train(out, trials, command, arguments.verbose)
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
    explicit = {key: value for key, value in vars(arguments).items() if key in OVERRIDES}
    check_num_samples(explicit, arguments.data)
    settings = {**SCALES[arguments.scale], "hold_out": hold_out, "averaging": "batch"}
    settings |= explicit
    if settings["encoder"] is not None:
        settings["deep_split"] = False  # of SegNet only
    for model in arguments.models:
        runs.check_network({**settings, "model": model})
    settings["data"] = absolute(arguments.data)
    settings["splits"] = arguments.splits or two_splits(settings["data"])
    return settings


def check_networks(trials, tasks):
    """Refuses networks that do not take these tasks or this size, before one is trained.

    Args:
        trials: list of `study.Trial`. The network of the first is built in a moment anyway.
        tasks: list of `Task`, those of the data.

    Raises:
        ValueError: by the network.
    """
    settings = {trial.settings["model"]: trial.settings for trial in trials}
    for own in list(settings.values())[1:]:
        wanted = [task for task in tasks if task.name in own["tasks"]]
        # Nothing is allocated in this scope, and nothing loaded.
        with keras.StatelessScope():
            runs.get_network({**own, "encoder_weights": None}, wanted)


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
