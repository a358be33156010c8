"""What encoders cost: parameters, arithmetic, images per second of training and of prediction.

    KERAS_BACKEND=torch python benchmarks/encoders.py
    KERAS_BACKEND=torch python benchmarks/encoders.py --encoders segnet resnet50 --model split

Trains on one random batch over and over, with all metrics off, and predicts single images with
`model.for_inference()`. Encoders take turns, round after round; medians over the rounds. `segnet`
is the paper's own encoder. Weights are random, as speed does not depend on them.
"""

import argparse
import gc
import statistics
import time

import keras
import numpy as np
from flops import count_flops

import keras_atinet

ENCODERS = [
    *("segnet", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenet_v2"),
    *("mobilenet_v3_large", "efficientnet_v2_b0", "resnet50", "convnext_tiny", "densenet121"),
]
NETWORKS = {"split": keras_atinet.Split, "atinet": keras_atinet.ATINet}
CHANNELS = {"segmentation": 13, "depth": 1, "normal": 3}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=ENCODERS)
    parser.add_argument("--model", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--image-size", nargs=2, type=int, default=[96, 128])
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--filters", nargs=5, type=int, default=[64, 96, 128, 256, 256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="of each round")
    arguments = parser.parse_args()
    shape = (*arguments.image_size, 3)
    print(
        f"{keras.backend.backend()}, {shape[0]} x {shape[1]}, batch {arguments.batch_size}, "
        f"filters {arguments.filters}\n"
    )
    print("| network | encoder | parameters, M | of them encoder | GFLOP | train img/s | predict |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for kind in arguments.model:
        rates = {name: ([], []) for name in arguments.encoders}
        facts = {}
        for _ in range(arguments.rounds):
            for name in arguments.encoders:
                facts[name], *measured = measure(NETWORKS[kind], name, shape, arguments)
                for rate, values in zip(measured, rates[name], strict=True):
                    values.append(rate)
                keras.utils.clear_session()
                gc.collect()
        for name in arguments.encoders:
            parameters, encoder, flops = facts[name]
            train, predict = map(statistics.median, rates[name])
            print(
                f"| {kind} | {name} | {parameters / 1e6:.1f} | {encoder / 1e6:.1f} | "
                f"{flops / 1e9:.1f} | {train:.1f} | {predict:.1f} |",
                flush=True,
            )


def measure(network, name, shape, arguments):
    """The facts of one network, and images per second of training and of prediction."""
    encoder = None if name == "segnet" else name
    model = network(CHANNELS, shape, arguments.filters, encoder=encoder)
    encoder_parameters = model.encoder.count_params() if encoder else 0
    facts = model.count_params(), encoder_parameters, count_flops(model)[0]
    random = np.random.default_rng(0)
    images = random.random((arguments.batch_size, *shape), "float32")
    targets = {
        task.name: random.random((*images.shape[:3], task.channels), "float32")
        for task in model.tasks
    }
    targets["segmentation"] = random.integers(0, 13, images.shape[:3])
    model.compile("adam", metrics={})
    train = _rate(
        lambda: model.train_on_batch(images, targets), arguments.batch_size, arguments.steps
    )
    fast = model.for_inference()
    predict = _rate(lambda: fast.predict_on_batch(images[:1]), 1, arguments.steps)
    return facts, train, predict


def _rate(step, images, steps):
    step()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return images * steps / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
