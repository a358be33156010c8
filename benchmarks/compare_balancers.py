"""Trains one network with each balancer, and single-task networks, and prints their table.

    KERAS_BACKEND=tensorflow python benchmarks/compare_balancers.py --data nyuv2

NYUv2 as a folder of aligned files, 64 x 96, MTAN with a quarter of the filters, Adam at 5e-4,
halved halfway, batches of 8, no augmentation, 20 epochs; the scores are the mean over the last five
epochs. Every run is a folder: stop the command at any time, and give it again to go on. On two CPU
cores a run takes about 20 minutes. The table of docs/balancing.md was made by this command.
"""

import argparse
import csv
import json
import pathlib

import keras
import numpy as np

import keras_atinet
from keras_atinet.balancing import BALANCERS
from keras_atinet.data import Folder, fill_missing, resize
from keras_atinet.evaluation import delta_m

TASKS = ("segmentation", "depth", "normal")
BALANCED = ("equal", "dwa", "uncertainty", "pcgrad", "cagrad", "nashmtl", "famo", "upgrad")
METRICS = {
    "segmentation": ("mean_iou", "pixel_accuracy"),
    "depth": ("abs_error", "rel_error"),
    "normal": ("mean_angle", "median_angle", "within_11.25", "within_22.5", "within_30"),
}
SINGLE = "single task"
SCORED_EPOCHS = 5


def load(path, split, image_size):
    """All samples of a split as arrays `(images, targets)`."""
    source = Folder(path, split)
    samples = [fill_missing(resize(sample, image_size), source.tasks) for sample in source]
    images = np.stack([sample["image"] for sample in samples])
    return images, {task: np.stack([sample[task] for sample in samples]) for task in TASKS}


def make(tasks, balancer, arguments):
    """A compiled network with new weights."""
    keras.utils.set_random_seed(arguments.seed)
    network = keras_atinet.MTAN if len(tasks) > 1 else keras_atinet.SingleTask
    model = network(tasks, (*arguments.image_size, 3), arguments.filters)
    kind = BALANCERS[balancer]
    options = {"over": arguments.over} if kind.needs_gradients else {}
    model.compile(keras.optimizers.Adam(arguments.learning_rate), kind(**options))
    return model


def train(folder, model, train_data, test_data, arguments):
    """Trains, or goes on, and writes the mean scores of the last epochs to `results.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    epochs, rate = arguments.epochs, arguments.learning_rate
    names = [task.name for task in model.tasks]
    (images, targets), (test_images, test_targets) = train_data, test_data
    history = folder / "history.csv"
    model.fit(
        images,
        {name: targets[name] for name in names},
        validation_data=(test_images, {name: test_targets[name] for name in names}),
        validation_freq=list(range(epochs - SCORED_EPOCHS + 1, epochs + 1)),
        validation_batch_size=arguments.batch_size,
        batch_size=arguments.batch_size,
        epochs=epochs,
        verbose=2,
        callbacks=[
            keras.callbacks.LearningRateScheduler(
                lambda epoch, _: rate if epoch < epochs / 2 else rate / 2
            ),
            Validations(history),
            keras.callbacks.BackupAndRestore(str(folder / "backup"), double_checkpoint=True),
        ],
    )
    with history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    scores = {
        task: {name: np.mean([float(row[f"val_{task}_{name}"]) for row in rows]) for name in wanted}
        for task, wanted in METRICS.items()
        if task in names
    }
    (folder / "results.json").write_text(json.dumps(scores, indent=1))


class Validations(keras.callbacks.CSVLogger):
    """`CSVLogger` of the epochs that were validated."""

    def __init__(self, path):
        super().__init__(path, append=True)

    def on_epoch_end(self, epoch, logs=None):
        if any(name.startswith("val_") for name in logs):
            super().on_epoch_end(epoch, logs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of NYUv2")
    parser.add_argument("--out", default="runs/balancers", help="folder of the runs")
    parser.add_argument("--balancers", nargs="+", default=BALANCED, choices=sorted(BALANCERS))
    parser.add_argument("--over", default="shared_weights", help="of those that take gradients")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--image-size", type=int, nargs=2, default=(64, 96))
    parser.add_argument("--filters", type=int, nargs=5, default=(16, 32, 64, 128, 128))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    runs = {f"{SINGLE}: {task}": ("equal", (task,)) for task in TASKS}
    runs |= {name: (name, TASKS) for name in arguments.balancers}
    data, scores = None, {}
    for title, (balancer, tasks) in runs.items():
        folder = pathlib.Path(arguments.out) / title.replace(": ", "-").replace(" ", "-")
        if not (folder / "results.json").is_file():
            splits = ("train", "test")
            data = data or [load(arguments.data, split, arguments.image_size) for split in splits]
            print(f"== {title}", flush=True)
            train(folder, make(tasks, balancer, arguments), *data, arguments)
            keras.backend.clear_session()
        scores[title] = json.loads((folder / "results.json").read_text())
    print(table(scores))


def table(scores):
    """Markdown, with both definitions of delta-m."""
    single = {task: scores[f"{SINGLE}: {task}"][task] for task in TASKS}
    rows = {SINGLE: single, **{name: s for name, s in scores.items() if SINGLE not in name}}
    tasks = keras_atinet.tasks.standardize_tasks(TASKS)
    names = [name for wanted in METRICS.values() for name in wanted]
    lines = [
        f"| balancer | {' | '.join(names)} | delta-m over metrics, % | delta-m over tasks, % |",
        "|---" * (len(names) + 3) + "|",
    ]
    for title, results in rows.items():
        cells = [
            f"{100 * value:.2f}" if is_share(name) else f"{value:.3f}"
            for task in TASKS
            for name, value in results[task].items()
        ]
        gains = [f"{delta_m(results, single, tasks, by):+.2f}" for by in ("metrics", "tasks")]
        lines.append(f"| {' | '.join([title, *cells, *gains])} |")
    return "\n".join(lines)


def is_share(name):
    return name in ("mean_iou", "pixel_accuracy") or name.startswith("within_")


if __name__ == "__main__":
    main()
