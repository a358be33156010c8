"""The page about some runs."""

import pathlib

import numpy as np

from keras_atinet import runs
from keras_atinet.data import Part, Subset
from keras_atinet.evaluation.results import text
from keras_atinet.report import page
from keras_atinet.report.charts import confusion_chart
from keras_atinet.report.curves import learning_curves, weight_curves
from keras_atinet.report.pictures import Gallery
from keras_atinet.report.samples import ranked, score_samples

_EXTREMES = 3
_MASKED_SAMPLES = 2


def run_report(paths, num_pictures=6, num_samples=None):
    """A page about runs that needs no other file and no network.

    For each run: how it came about, the scores on the test images (those of
    `evaluation.evaluate`) beside the best constant prediction, those of each class, learning
    curves with the switch of phase, task weights, samples with truth and prediction, the best and
    the worst, confusion matrices, attention masks.

    Args:
        paths: sequence of paths of run folders in which at least one epoch is done.
        num_pictures: int, evenly spaced samples to show.
        num_samples: optional int, evenly spaced samples to predict. Defaults to all.

    Returns:
        str, HTML.

    Raises:
        FileNotFoundError: if a folder is not a run, or has no model yet.
        ImportError: if matplotlib or Pillow is not installed.

    Example:
        >>> html = run_report(["runs/atinet-rooms-1"])
        >>> pathlib.Path("report.html").write_text(html)
    """
    sections, results = [], {}
    for path in paths:
        run = runs.Run(path)
        section, results[run.path.name] = run_section(run, num_pictures, num_samples)
        sections.append(section)
    title = ", ".join(results) if len(results) < 4 else f"{len(results)} runs"
    overview = _overview(results) if len(results) > 1 else ""
    return page.document(title, overview + "".join(sections))


def run_section(run, num_pictures=6, num_samples=None):
    """The part of a page about one run.

    Returns:
        HTML, and the results on the test images, task name -> metric name -> float.
    """
    config = run.read_config()
    settings = run.read_settings()
    file = run.best if run.best.is_file() else run.last
    if not file.is_file():
        raise FileNotFoundError(
            "A report needs a run in which at least one epoch is done. "
            f"Received: '{run.path}', which has no model yet."
        )
    model = runs.load_model(file)
    sources = runs.get_sources(settings)
    source = sources.test
    if num_samples is not None:
        source = Subset(source, num_samples)
    sizes = settings["image_size"], settings["batch_size"]
    batches = runs.get_batches(source, model.tasks, *sizes)
    found = score_samples(model, batches)
    tasks = model.tasks
    baseline = runs.constant_baseline(sources.train, tasks, *sizes, batches)
    how = "the mean over its batches" if tasks[0].averaging == "batch" else "all pixels pooled"
    parts = [
        page.heading(run.path.name),
        page.facts(_facts(run, config, settings, sources, model)),
        page.heading("Scores", 3),
        page.paragraph(
            f"{file.name} on {len(source)} samples ({sources.title(sources.test)}), {how}, "
            "beside the best prediction that knows nothing of the image. Losses are means over "
            f"batches of {settings['batch_size']}."
        ),
        *_warning(sources, file == run.best),
        _score_table(found.results, baseline),
        *_classes(found.classes),
        page.heading("Learning curves", 3),
        page.charts([*learning_curves(run, tasks), *weight_curves(run, tasks)]),
        *_pictures(Gallery(model, source), found, num_pictures, sources.title(sources.test)),
        *_confusion(found.classes),
    ]
    return "\n".join(parts), found.results


def _warning(sources, is_best):
    if is_best and sources.is_chosen_on_test:
        yield page.paragraph(
            "The epoch was chosen on these samples, so the scores are better than those of others "
            "would be."
        )


def _facts(run, config, settings, sources, model):
    rows = run.rows()
    versions = config["versions"]
    seconds = sum(float(row.get("seconds") or 0) for row in rows)
    size = " x ".join(map(str, settings["image_size"]))
    yield "command", config.get("command", "unknown")
    yield "network", f"{type(model).__name__}, filters {' '.join(map(str, settings['filters']))}"
    yield from runs.encoder_facts(model).items()
    yield "trainable parameters", f"{runs.count_parameters(model):,}"
    yield "tasks", ", ".join(task.name for task in model.tasks)
    data = pathlib.Path(settings["data"]).name
    yield "data", f"{data}, {size}"
    yield "images", sources.describe()
    yield (
        "training",
        f"{len(rows)} of {settings['epochs']} epochs, batches of {settings['batch_size']}, "
        f"{runs.optimizer_line(settings)}, balancer {settings['balancer']}, {settings['dtype']}",
    )
    yield "seed", settings["seed"]
    yield "training time", f"{seconds:.0f} s"
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    yield (
        "machine",
        ", ".join(f"{k} {v}" for k, v in config.get("machine", {}).items()) or "unknown",
    )


def _score_table(results, baseline):
    rows = []
    for task, values in results.items():
        constants = text(baseline.get(task, {}))
        for name, value in text(values).items():
            rows.append([f"{task}: {name.replace('_', ' ')}", value, constants.get(name, "-")])
    return page.table(["", "model", "best constant"], rows)


def _classes(classes):
    for name in classes.iou():
        header = [name, "IoU", "share of the truth", "share of the prediction"]
        yield page.table(header, classes.rows(name))
    for line in classes.warnings():
        yield page.paragraph(line)


def _pictures(gallery, found, num_pictures, title):
    count = len(gallery.source)
    chosen = np.unique(np.linspace(0, count - 1, min(num_pictures, count)).round().astype(int))
    order = ranked(found.losses)
    best = order[: min(_EXTREMES, len(order) // 2)]
    worst = order[::-1][: len(best)]

    def draw(indices):
        return [gallery.predictions(int(i), _note(gallery.source, found, int(i))) for i in indices]

    groups = [
        (f"Samples, evenly spaced ({title})", draw(chosen)),
        ("Best samples", draw(best)),
        ("Worst samples", draw(worst)),
    ]
    for title, samples in groups:
        if samples:
            yield page.heading(title, 3)
            yield gallery.legend()
            yield from samples
    masks = [gallery.masks(int(index)) for index in chosen[:_MASKED_SAMPLES]]
    if any(masks):
        yield page.heading("Attention masks", 3)
        yield page.paragraph(
            "The mean over the channels of each mask, from its least value (black) to its greatest "
            "(white): down the encoder, then up the decoder."
        )
        yield from masks


def _note(source, found, index):
    number = index
    while isinstance(source, Part):  # a part of what was held out, say
        source, number = source.source, source.indices[number]
    losses = [f"{name} {values[index]:.3f}" for name, values in found.losses.items()]
    return f"sample {number}; losses: {', '.join(losses)}".replace("nan", "no truth")


def _confusion(classes):
    for name, names in classes.names.items():
        yield page.heading(f"Confusion matrix of {name}", 3)
        yield page.paragraph("Percent of the pixels of a true class; each row sums to 100.")
        figure = confusion_chart(classes.confusion[name], names)
        yield page.chart(figure, f"confusion matrix of {name}")


def _overview(results):
    names = list(
        dict.fromkeys((t, m) for found in results.values() for t in found for m in found[t])
    )
    header = ["run", *(f"{task}: {metric.replace('_', ' ')}" for task, metric in names)]
    rows = []
    for name, found in results.items():
        shown = {task: text(values) for task, values in found.items()}
        rows.append([name, *(shown.get(task, {}).get(metric, "-") for task, metric in names)])
    return page.heading("Scores on the test images") + page.table(header, rows, wide=True)
