"""`keras-atinet evaluate`."""

from keras_atinet import evaluation, runs
from keras_atinet.cli.sources import absolute
from keras_atinet.data import splits
from keras_atinet.evaluation.results import to_json
from keras_atinet.evaluation.scoring import with_averaging
from keras_atinet.files import write_json


def run(arguments, argv):
    """Prints losses and metrics of a model on one split."""
    file, folder = runs.find_model(arguments.model)
    if arguments.data is None and not folder.config.exists():
        raise ValueError(
            f"'{file}' lies in no run folder, whose config.json would tell the data. "
            "Say it: --data rooms, or --data DIR."
        )
    model = runs.load_model(file)
    settings = {**_settings(arguments, folder), "tasks": [task.name for task in model.tasks]}
    sizes = model.input_shape[1:3], arguments.batch_size or settings["batch_size"]
    split = arguments.split or settings["splits"][1]
    source = _open(settings, split)
    batches = runs.get_batches(source, model.tasks, *sizes)
    results = evaluation.evaluate(model, batches, arguments.averaging, arguments.verbose or 0)
    baseline = None
    if arguments.baseline:
        train_source = _open(settings, settings["splits"][0])
        tasks = [with_averaging(task, arguments.averaging) for task in model.tasks]
        baseline = runs.constant_baseline(train_source, tasks, *sizes, batches)
    print(f"{file} on {len(source)} images, split '{split}' of {settings['data']}:")
    print(evaluation.table(results, baseline))
    if arguments.json:
        facts = {"model": str(file), "data": settings["data"], "split": split}
        facts["results"] = to_json(results)
        if baseline is not None:
            facts["constant"] = to_json(baseline)
        write_json(arguments.json, facts)


def _settings(arguments, folder):
    settings = {**runs.DEFAULT}
    if folder.config.exists():
        settings |= folder.read_config()["settings"]
    if arguments.data:
        settings["data"] = absolute(arguments.data)
        names = splits(settings["data"])
        settings["splits"] = [names[0], names[min(1, len(names) - 1)]]
    return settings


def _open(settings, split):
    source = runs.get_source(settings, split)
    runs.get_tasks(source, settings["tasks"])  # raises if one is missing
    return source
