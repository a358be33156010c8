"""`keras-atinet train`."""

import pathlib
import shlex
import sys

from keras_atinet import evaluation, runs, visualization
from keras_atinet.cli.options.train import ALL_EPOCHS
from keras_atinet.cli.sources import absolute, absolute_file, check_num_samples, complete_splits
from keras_atinet.data import Subset
from keras_atinet.files import WriteError, is_free, replacing
from keras_atinet.settings import PRESETS
from keras_atinet.stopping import Terminated, exit_status

_PICTURE_SAMPLES = 4


def run(arguments, argv):
    """Trains a new run or resumes one, then evaluates its best model."""
    folder, settings = _resumed(arguments) if arguments.resume else _new(arguments)
    if arguments.resume and folder.is_finished():
        folder.finish()
        done, epochs = len(folder.rows()), settings["epochs"]
        early = f" of {epochs}, stopped by --patience {settings['patience']}"
        print(f"The run {folder.path} is finished: {done} epochs{early if done < epochs else ''}.")
    else:
        try:
            runs.train(folder, settings, shlex.join(["keras-atinet", *argv]), arguments.verbose)
        except KeyboardInterrupt as interrupt:
            if not folder.config.exists():
                raise
            path = shlex.quote(str(folder.path))
            print(f"\nStopped. Go on with: keras-atinet train --resume {path}")
            # Who sends SIGTERM may kill what does not end soon.
            if folder.best_value() is not None and not isinstance(interrupt, Terminated):
                _draw(folder, runs.load_model(folder.best), settings)
            return exit_status(interrupt)
        except FloatingPointError as error:
            raise FloatingPointError(f"{error} {_what_is_left(folder)}") from error
        except WriteError as error:
            if not folder.config.exists():
                raise
            path = shlex.quote(str(folder.path))
            raise WriteError(f"{error} Go on with: keras-atinet train --resume {path}") from error
    print_scores(folder, settings)
    return 0


def _what_is_left(folder):
    path, epochs = shlex.quote(str(folder.path)), folder.backup.epochs()
    kept = f"the state after epoch {epochs}" if epochs else "no finished epoch"
    command = f"keras-atinet train --resume {path} --on-nonfinite skip"
    return f"The run folder has {kept}; go on without such steps: {command}"


def _explicit(arguments):
    return {key: value for key, value in vars(arguments).items() if key in runs.DEFAULT}


def _resumed(arguments):
    explicit = _explicit(arguments)
    others = [key for key in explicit if key != "on_nonfinite"]
    others += [name for name in ("recipe", "out") if getattr(arguments, name)]
    if others:
        options = " ".join("--" + name.replace("_", "-") for name in others)
        raise ValueError(
            "`--resume` takes all settings but `--on-nonfinite` from the run. "
            f"Received: {options}. Leave that out, or start a new run without `--resume`."
        )
    folder = runs.Run(arguments.resume)
    settings = {**folder.read_settings(), **explicit}
    if explicit and not folder.is_finished():
        folder.change_settings(**explicit)
    return folder, settings


def _new(arguments):
    explicit = _explicit(arguments)
    settings = {**runs.RECIPES[arguments.recipe or "default"], **explicit}
    check_num_samples(explicit, settings["data"])
    settings["data"] = absolute(settings["data"])
    settings |= complete_encoder(settings)
    runs.check_network(settings)
    if settings["weights"]:
        runs.find_model(settings["weights"])  # or an error before anything is made
        if settings["weights"] not in PRESETS:
            settings["weights"] = absolute(settings["weights"])
    settings |= complete_splits(explicit, settings)
    folder = runs.Run(arguments.out or new_folder(settings))
    _check_empty(folder)
    return folder, settings


def complete_encoder(settings):
    """What the settings say of an encoder: paths that do not depend on the working directory."""
    found = {name: settings[name] for name in ("encoder", "encoder_weights")}
    found = {name: value and absolute_file(value) for name, value in found.items()}
    if settings["freeze_encoder"] == ALL_EPOCHS:
        found["freeze_encoder"] = settings["epochs"]
    return found


def new_folder(settings):
    stem = f"{settings['model']}-{pathlib.Path(settings['data']).name}"
    number = 1
    while (path := pathlib.Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return path


def _check_empty(folder):
    path = folder.path
    if not is_free(path):
        hint = f", or go on with this run: --resume {path}" if folder.config.exists() else ""
        raise FileExistsError(
            f"`--out` must be a new or an empty folder. Received: '{path}'. Choose another{hint}."
        )


def print_scores(folder, settings):
    """Prints the scores of the best model and draws some of its predictions."""
    model = runs.load_model(runs.find_model(folder.path)[0])
    sizes = settings["image_size"], settings["batch_size"]
    sources, is_best = runs.get_sources(settings), folder.best_value() is not None
    name = "best" if is_best else f"last (no epoch has a {folder.monitor()})"
    print(
        f"\nThe {name} model and the best constant on {len(sources.test)} images "
        f"({sources.title(sources.test)}):"
    )
    batches = runs.get_batches(sources.test, model.tasks, *sizes)
    classes = evaluation.ClassScores(model.tasks)
    verbose = int(sys.stdout.isatty())
    results = evaluation.evaluate(model, batches, verbose=verbose, on_batch=classes)
    baseline = runs.constant_baseline(sources.train, model.tasks, *sizes, batches)
    print(evaluation.table(results, baseline))
    notes = classes.warnings()
    if is_best and sources.is_chosen_on_test:
        notes.append("The epoch was chosen on these images; scores on others are likely worse.")
    if classes.names:
        path = shlex.quote(str(folder.path))
        notes.append(f"Scores of each class: keras-atinet evaluate --model {path}")
    print("\n".join(["", *notes]))
    _draw(folder, model, settings)
    print()
    for path in (folder.best, folder.last, folder.history, folder.predictions, folder.config):
        if path.exists():
            print(path)


def _draw(folder, model, settings):
    source = Subset(runs.get_sources(settings).test, _PICTURE_SAMPLES)
    batches = runs.get_batches(source, model.tasks, settings["image_size"], len(source))
    images, targets = next(batches.as_numpy_iterator())
    predictions = model.predict(images, verbose=0)
    try:
        figure = visualization.prediction_grid(images, targets, predictions, model.tasks)
    except ImportError as error:
        print(f"No {folder.predictions.name}: {error}", file=sys.stderr)
        return
    with replacing(folder.predictions) as new:
        figure.savefig(new)
