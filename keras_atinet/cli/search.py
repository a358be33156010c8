"""`keras-atinet search`."""

import pathlib

from keras_atinet import deferral, runs
from keras_atinet.cli.sources import absolute, absolute_file, check_num_samples
from keras_atinet.files import is_free, read_json, write_json
from keras_atinet.stopping import exit_status

# What may differ when a search is resumed.
_FREE = ("max_trials", "workers")
# What the results do not depend on.
_NO_SETTINGS = ("command", "backend", "debug", "out", "verbose")


def run(arguments, argv):
    """Runs a search, or resumes one; writes `results.csv` and `best.keras`."""
    # Here, because KerasTuner is optional.
    with deferral.importing():
        from keras_atinet.tuning import search, workers

    out = pathlib.Path(arguments.out)
    explicit = {key: value for key, value in vars(arguments).items() if key not in _NO_SETTINGS}
    check_num_samples(explicit, arguments.data)
    settings = {"num_samples": runs.DEFAULT["num_samples"], **explicit}
    settings["data"] = absolute(settings["data"])
    settings["baseline"] = [absolute(file) for file in settings["baseline"] or []]
    for name in ("encoder", "encoder_weights"):
        settings[name] = settings[name] and [absolute_file(value) for value in settings[name]]
    search.check_encoders(settings)
    _check_folder(out / "search.json", settings)
    train, validation = search.open_data(settings)
    tuner = search.get_tuner(settings, train, validation, out)
    error = None
    try:
        if workers.is_worker_or_chief() or arguments.workers == 1:
            options = {key: settings[key] for key in ("max_trials", "epochs")}
            error = search.run(tuner, train, validation, **options, verbose=arguments.verbose)
        else:
            workers.run(argv, arguments.workers, out)
            tuner.oracle.reload()
    except KeyboardInterrupt as interrupt:
        print("\nStopped. The same command goes on with the search.")
        return exit_status(interrupt)
    if not workers.is_worker_or_chief():
        search.report(tuner, settings, out, error)
    return 0


def _check_folder(file, settings):
    if file.exists():
        old = read_json(file)
        changed = [key for key in settings if key not in _FREE and settings[key] != old.get(key)]
        if changed:
            raise ValueError(
                f"The search in '{file.parent}' was begun with other settings. "
                f"Received: {', '.join(f'{key}={settings[key]}' for key in changed)}; "
                f"before: {', '.join(f'{key}={old.get(key)}' for key in changed)}. "
                "Give the same ones to go on, or another `--out`."
            )
    elif not is_free(file.parent):
        raise FileExistsError(
            "`--out` must be a new or an empty folder, or that of a search. "
            f"Received: '{file.parent}'. Choose another."
        )
    else:
        write_json(file, settings)
