"""What int8 costs in quality and gains in time: an exported network on held-out images.

    KERAS_BACKEND=tensorflow python benchmarks/int8.py runs/atinet-nyuv2-1 --format openvino

Calibrates with training images of the run's data, measures losses and metrics on its held-out split
(or on `--split` of `--data`), and the time of a batch of one, medians over repeats.
"""

import argparse
import itertools
import pathlib
import statistics
import tempfile
import time

import keras

from keras_atinet import evaluation, runs
from keras_atinet.data import Subset
from keras_atinet.data.opening import splits
from keras_atinet.exporting import (
    FORMATS,
    QUANTIZED,
    ExportedModel,
    calibration_images,
    export_model,
    quantize,
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a run folder, or a .keras file with --data")
    parser.add_argument("--format", choices=QUANTIZED, default="openvino")
    parser.add_argument("--data", help="source of images and targets (default: the run's)")
    parser.add_argument("--split", help="to measure on (default: the held-out one)")
    parser.add_argument("--calibration-images", type=int, default=200)
    parser.add_argument("--images", type=int, default=100_000, help="at most, to measure on")
    parser.add_argument("--repeats", type=int, default=9, help="of a timed prediction")
    arguments = parser.parse_args()

    file, run = runs.find_model(arguments.model)
    model = runs.load_model(file)
    settings = {**runs.DEFAULT}
    if arguments.data is None:
        settings |= run.read_settings()
    else:
        settings |= {"data": arguments.data, "splits": runs.choose_splits(splits(arguments.data))}
    settings["tasks"] = [task.name for task in model.tasks]
    size = model.input_shape[1:3]
    training, held_out = (
        Subset(runs.get_source(settings, split), count)
        for split, count in (
            (settings["splits"][0], arguments.calibration_images),
            (arguments.split or settings["splits"][-1], arguments.images),
        )
    )
    batches = runs.get_batches(held_out, model.tasks, size, 1)
    with tempfile.TemporaryDirectory() as folder:
        suffix = FORMATS[arguments.format].suffix
        exact = pathlib.Path(folder) / f"float32{suffix}"
        coarse = pathlib.Path(folder) / f"int8{suffix}"
        export_model(model, exact, arguments.format, batch_size=1)
        quantize(exact, coarse, calibration_images(training, size))
        models = {"float32": ExportedModel(exact), "int8": ExportedModel(coarse)}
        if arguments.format == "openvino":
            models["int8, bfloat16"] = ExportedModel(coarse, precision="bfloat16")
            models["bfloat16"] = ExportedModel(exact, precision="bfloat16")
        seconds = times(models, next(calibration_images(training, size)), arguments.repeats)
        results = {
            name: evaluation.evaluate_function(model.tasks, predict, batches)
            for name, predict in models.items()
        }
    print(f"{file}, {arguments.format}, {len(held_out)} images of {settings['data']}")
    print_table(results, seconds, model.tasks)


def times(models, image, repeats):
    """Median seconds of a prediction, the models taking turns."""
    for predict in models.values():
        predict(image)
    taken = {name: [] for name in models}
    for _, (name, predict) in itertools.product(range(repeats), models.items()):
        start = time.perf_counter()
        predict(image)
        taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def print_table(results, seconds, tasks):
    base = results["float32"]
    print("| |" + "".join(f" {name} |" for name in results))
    print("|---|" + "---|" * len(results))
    for task, values in base.items():
        for metric in values:
            cells = "".join(f" {result[task][metric]:.4f} |" for result in results.values())
            print(f"| {task}, {metric} |{cells}")
    gains = (evaluation.delta_m(result, base, tasks) for result in results.values())
    print("| mean change of the metrics, % |" + "".join(f" {gain:+.2f} |" for gain in gains))
    print("| seconds an image, median |" + "".join(f" {s:.4f} |" for s in seconds.values()))
    factors = (seconds["float32"] / value for value in seconds.values())
    print("| times as fast |" + "".join(f" {factor:.2f} |" for factor in factors))


if __name__ == "__main__":
    if keras.backend.backend() != "tensorflow":
        raise SystemExit("These files are written on TensorFlow: set KERAS_BACKEND=tensorflow.")
    main()
