"""`keras-atinet search`."""

import argparse
import json
import pathlib

from keras_atinet import runs
from keras_atinet.balancing import BALANCERS
from keras_atinet.cli.sources import absolute, check_num_samples

SUMMARY = (
    "Search for the hyperparameters that are best for all tasks together (delta-m). The same "
    "command goes on with a search that was stopped; trials that were not finished start again."
)
# What may differ when a search is resumed.
_FREE = ("max_trials", "workers")
# What the results do not depend on.
_NO_SETTINGS = ("run", "required_backend", "backend", "debug", "out", "verbose")


def add_options(parser):
    default = runs.DEFAULT
    text = "'rooms', made up on the fly; or other data, as for train (default: rooms)"
    parser.add_argument("--data", default=runs.ROOMS, metavar="SOURCE", help=text)
    text = (
        "parts to learn from and to judge by (default: the first one, a fifth of it held out; "
        "the test images are not touched)"
    )
    parser.add_argument("--splits", nargs="+", metavar="SPLIT", help=text)
    text = "the network (default: %(default)s)"
    parser.add_argument("--model", choices=list(runs.MODELS), default=default["model"], help=text)
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="(default: the data's)")
    _add(parser, "--image-size", int, "pixels, divisible by 32", ("H", "W"), default["image_size"])
    _add(parser, "--epochs", int, "passes over the training images", "N", default["epochs"])
    text = f"rooms to learn from (default: {default['num_samples']})"
    parser.add_argument(
        "--num-samples", type=int, default=argparse.SUPPRESS, metavar="N", help=text
    )
    _add(parser, "--seed", int, "of weights, order and choices", "N", default["seed"])
    _add(parser, "--max-trials", int, "settings to try", "N", 20)
    text = "how settings are chosen (default: %(default)s)"
    parser.add_argument(
        "--algorithm", choices=("bayesian", "random"), default="bayesian", help=text
    )
    text = (
        "files that `evaluate --json` wrote, of single-task networks for instance; together they "
        "need a value for each task (default: the best constant prediction)"
    )
    parser.add_argument("--baseline", nargs="+", metavar="FILE", help=text)
    text = "mean over all metrics, or over tasks of that over their metrics (default: %(default)s)"
    parser.add_argument("--average", choices=("metrics", "tasks"), default="metrics", help=text)
    _add(parser, "--workers", int, "processes that train trials at the same time", "N", 1)
    text = "folder of the search, new or that of a stopped one (default: %(default)s)"
    parser.add_argument("--out", default="runs/search", metavar="DIR", help=text)
    text = "nothing, progress bars, or a line per epoch (default: %(default)s)"
    parser.add_argument("--verbose", type=int, choices=(0, 1, 2), default=2, help=text)
    _add_space(parser.add_argument_group("the space, one value or several"))


def _add_space(group):
    _add(group, "--learning-rate", float, "one, or from LOW to HIGH", "X", nargs="+")
    _add(group, "--width", float, "filters over the paper's, to choose from", "X", nargs="+")
    _add(group, "--batch-size", int, "to choose from", "N", nargs="+")
    text = "to choose from"
    group.add_argument("--balancers", nargs="+", choices=list(BALANCERS), help=text)
    _add(group, "--temperature", float, "of dwa: one, or from LOW to HIGH", "X", nargs="+")
    _add(group, "--switch-at", float, "one, or from LOW to HIGH", "X", nargs="+")


def _add(parser, option, kind, text, metavar, default=None, **kwargs):
    if default is not None:
        shown = " ".join(map(str, default)) if isinstance(default, list) else default
        text, kwargs = f"{text} (default: {shown})", {**kwargs, "default": default}
    if isinstance(metavar, tuple):
        kwargs["nargs"] = len(metavar)
    parser.add_argument(option, type=kind, metavar=metavar, help=text, **kwargs)


def run(arguments, argv):
    """Runs a search, or resumes one; writes `results.csv` and `best.keras`."""
    # Here, because KerasTuner is optional.
    from keras_atinet.tuning import search, workers

    out = pathlib.Path(arguments.out)
    explicit = {key: value for key, value in vars(arguments).items() if key not in _NO_SETTINGS}
    check_num_samples(explicit, arguments.data)
    settings = {"num_samples": runs.DEFAULT["num_samples"], **explicit}
    settings["data"] = absolute(settings["data"])
    settings["baseline"] = [absolute(file) for file in settings["baseline"] or []]
    _check_folder(out / "search.json", settings)
    train, validation = search.open_data(settings)
    tuner = search.get_tuner(settings, train, validation, out)
    error = None
    if workers.is_worker_or_chief() or arguments.workers == 1:
        options = {"epochs": settings["epochs"], "verbose": arguments.verbose}
        error = search.run(tuner, train, validation, **options)
    else:
        workers.run(argv, arguments.workers, out)
        tuner.oracle.reload()
    if not workers.is_worker_or_chief():
        search.report(tuner, settings, out, error)


def _check_folder(file, settings):
    if file.exists():
        old = json.loads(file.read_text(encoding="utf-8"))
        changed = [key for key in settings if key not in _FREE and settings[key] != old.get(key)]
        if changed:
            raise ValueError(
                f"The search in '{file.parent}' was begun with other settings. "
                f"Received: {', '.join(f'{key}={settings[key]}' for key in changed)}; "
                f"before: {', '.join(f'{key}={old.get(key)}' for key in changed)}. "
                "Give the same ones to go on, or another `--out`."
            )
    elif file.parent.exists() and (not file.parent.is_dir() or any(file.parent.iterdir())):
        raise FileExistsError(
            "`--out` must be a new or an empty folder, or that of a search. "
            f"Received: '{file.parent}'. Choose another."
        )
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
