"""What balancers cost: time of a train step and peak memory, as ratios to `Equal` in one run.

    KERAS_BACKEND=tensorflow python benchmarks/balancing.py
    KERAS_BACKEND=torch python benchmarks/balancing.py --memory pcgrad

Times: all models are compiled first and then take a step in turn, round after round, each time
another one first; a balancer's ratio is the median over the rounds of its time by that of `Equal`
in the same round. Those that take gradients are measured with both of `over`. Memory: each model
trains in a process of its own, whose peak (what the package and the data need included) is
compared.
"""

import argparse
import resource
import subprocess
import sys
import time

import keras
import numpy as np

import keras_atinet
from keras_atinet.balancing import BALANCERS
from keras_atinet.balancing.gradient_based.gradient_balancer import OVER


def variants(names):
    """`(title, balancer)` of each balancer in each of its forms; `Equal` first."""
    yield "equal", "equal"
    for name in names:
        if BALANCERS[name].needs_gradients:
            for over in OVER:
                yield f"{name}, {over}", BALANCERS[name](over=over)
        elif name != "equal":
            yield name, BALANCERS[name]()


def make(balancer, arguments):
    """A compiled MTAN and one batch."""
    keras.utils.set_random_seed(0)
    height, width = arguments.image_size
    model = keras_atinet.MTAN(input_shape=(height, width, 3), filters=arguments.filters)
    model.compile(keras.optimizers.Adam(1e-4), balancer, metrics={})
    random = np.random.default_rng(0)
    shape = (arguments.batch_size, height, width)
    targets = {
        "segmentation": random.integers(0, 13, shape).astype("int32"),
        "depth": random.uniform(0.5, 5, (*shape, 1)).astype("float32"),
        "normal": random.normal(size=(*shape, 3)).astype("float32"),
    }
    return model, (random.random((*shape, 3), dtype="float32"), targets)


def step_times(arguments):
    """Seconds of every step, an array `(rounds, variants)`, and the titles."""
    titles, models = [], []
    for title, balancer in variants(arguments.balancers):
        model, batch = make(balancer, arguments)
        for _ in range(2):
            model.train_on_batch(*batch)
        print(f"compiled: {title}", file=sys.stderr, flush=True)
        titles.append(title)
        models.append(model)
    times = np.empty((arguments.rounds, len(models)))
    for number, row in enumerate(times):
        for k in np.roll(np.arange(len(models)), -number):
            start = time.perf_counter()
            models[k].train_on_batch(*batch)
            row[k] = time.perf_counter() - start
    return titles, times


def peak_memory(index, arguments):
    """Trains the variant of this index a few steps; the process's peak in MiB."""
    _, balancer = list(variants(arguments.balancers))[index]
    model, batch = make(balancer, arguments)
    for _ in range(4):
        model.train_on_batch(*batch)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("balancers", nargs="*", default=list(BALANCERS), metavar="BALANCER")
    parser.add_argument("--image-size", type=int, nargs=2, default=(64, 96))
    parser.add_argument("--filters", type=int, nargs=5, default=(16, 32, 64, 128, 128))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(peak_memory(arguments.one, arguments))
        return
    if arguments.memory:
        titles = [title for title, _ in variants(arguments.balancers)]
        values = np.array([[_in_own_process(index) for index in range(len(titles))]])
        unit = "MiB"
    else:
        titles, values = step_times(arguments)
        unit = "s"
    ratios = np.median(values / values[:, :1], axis=0)
    print(f"\n{keras.backend.backend()}: | balancer | {unit} | by Equal |")
    for title, value, ratio in zip(titles, np.median(values, axis=0), ratios, strict=True):
        print(f"| {title} | {value:.3f} | {ratio:.2f} |")


def _in_own_process(index):
    command = [sys.executable, *sys.argv, "--one", str(index)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(output.split()[-1])


if __name__ == "__main__":
    main()
