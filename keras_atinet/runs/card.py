"""What the model card of a preset says of the run that trained it."""

import pathlib

from keras_atinet.evaluation.results import from_json, is_missing, text
from keras_atinet.models.presets.card import model_card
from keras_atinet.runs.schedules import optimizer_line
from keras_atinet.runs.text_table import number

_TO_FILL_IN = """## Data, licence, limits

To fill in: which data these are and on what terms they may be used; the licence of these weights,
here and above; what they are for, and what not.
"""


def run_card(model, name, run=None, is_best=True, scores=None, notes=None):
    """The model card of a preset.

    Args:
        model: `MultiTaskModel`.
        name: str, of the preset.
        run: optional `Run` that trained it.
        is_best: bool, whether it is the run's best model, whose scores its history has.
        scores: optional dict, what `keras-atinet evaluate --json` wrote.
        notes: optional str of Markdown: what only its author knows of data, licences and limits.
            Defaults to a paragraph that asks for it.

    Returns:
        str.
    """
    sections = [_training(run)] if run else []
    if scores is not None:
        sections.append(_scores(scores))
    elif run and is_best:
        sections.append(_best_epoch(run, model.tasks))
    sections.append(notes or _TO_FILL_IN)
    license = {"license": "other"} if notes else {}
    return model_card(model, name, list(filter(None, sections)), **license)


def _training(run):
    config, settings, rows = run.read_config(), run.read_settings(), run.rows()
    height, width = settings["image_size"]
    train, *others = (
        "all images" if split is None else f"'{split}'" for split in settings["splits"]
    )
    if settings["hold_out"]:
        others.insert(0, f"{100 * settings['hold_out']:g} % of it, held out")
    versions = [f"{name} {version}" for name, version in config["versions"].items()]
    facts = {
        # Of a folder its name alone: who gets a network need not know its author's folders.
        "data": f"{pathlib.PurePath(settings['data']).name}, at {height} x {width}",
        "split": f"training {train}; the best epoch chosen on {others[0]}; test {others[-1]}",
        "epochs": f"{len(rows)} of {settings['epochs']}, batches of {settings['batch_size']}",
        "optimizer": optimizer_line(settings),
        "balancer": settings["balancer"],
        "augmentation": settings["augment"],
        "seed": settings["seed"],
        "versions": ", ".join(versions).replace("backend ", ""),
        "computed on": ", ".join(map(str, filter(None, _machine(config.get("machine", {}))))),
    }
    seconds = sum(float(row.get("seconds") or 0) for row in rows)
    if seconds:
        facts["training time"] = f"{seconds / 60:.0f} minutes"
    return _section("Training", facts)


def _machine(machine):
    yield machine.get("processor")
    yield f"{machine['cores']} cores" if "cores" in machine else None
    yield machine.get("devices")


def _best_epoch(run, tasks):
    row = run.best_row()
    if row is None:
        return ""
    facts = {}
    for task in tasks:
        for metric in task.metrics():
            value = row.get(f"val_{task.name}_{metric.name}")
            if value:
                facts[f"{task.name}, {metric.name}"] = f"{float(value):.4f}"
    title = f"Scores of epoch {int(row['epoch']) + 1}, the best, on the images it was chosen on"
    return _section(title, facts)


def _scores(scores):
    size = scores["image_size"]
    size = "the size of the labels" if size is None else f"{size[0]} x {size[1]}"
    split = "all images" if scores["split"] is None else f"split '{scores['split']}'"
    title = f"Scores on {scores['images']} images ({split}), at {size}"
    facts = {}
    for task, values in from_json(scores["results"]).items():
        if not is_missing(values):
            facts |= {f"{task}, {name}": value for name, value in text(values).items()}
    parts = [_section(title, facts)]
    for task, values in from_json(scores["class_iou"]).items():
        title = f"Intersection over union of the classes of {task}"
        shown = {name: number(value) for name, value in values.items()}
        parts.append(_section(title, shown, "###"))
    return "\n\n".join(parts)


def _section(title, facts, level="##"):
    rows = [f"| {name} | {value} |" for name, value in facts.items()]
    return "\n".join([f"{level} {title}", "", "| | |", "|---|---|", *rows])
