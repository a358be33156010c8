"""How many Python numbers and arrays a train step copies to the device on PyTorch.

    KERAS_BACKEND=torch python benchmarks/host_copies.py
    KERAS_BACKEND=torch python benchmarks/host_copies.py --balancer nashmtl --by-line

On a GPU each is a copy that the host waits for. An ATI-Net of few filters in phase 2, three tasks:
the counts do not depend on sizes. The images and targets of the batch count too (four), and so does
what the first step of an epoch resets in the metrics.
"""

import argparse
import collections
import pathlib
import traceback

import torch
from keras_contender import make_model
from workload import Workload, random_batch

import keras_atinet

PACKAGE = str(pathlib.Path(keras_atinet.__file__).parent)


def count_copies(step):
    """Calls of `torch.as_tensor` and `torch.tensor` in `step()`, but for those of tensors.

    Returns:
        `collections.Counter` by the last line of this package that led to each, "" without one.
    """
    counts, functions = collections.Counter(), {}

    def counted(function):
        def count(data, *arguments, **options):
            if not isinstance(data, torch.Tensor):
                lines = [f for f in traceback.extract_stack() if f.filename.startswith(PACKAGE)]
                counts[f"{lines[-1].filename}:{lines[-1].lineno}" if lines else ""] += 1
            return function(data, *arguments, **options)

        return count

    for name in ("as_tensor", "tensor"):
        functions[name] = getattr(torch, name)
        setattr(torch, name, counted(functions[name]))
    try:
        step()
    finally:
        for name, function in functions.items():
            setattr(torch, name, function)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--balancer", nargs="+", default=["equal"])
    parser.add_argument("--by-line", action="store_true", help="where they come from")
    arguments = parser.parse_args()
    workload = Workload(image_size=(32, 64), filters=(4, 4, 4, 4, 4))
    batch = random_batch(workload)
    for balancer in arguments.balancer:
        model = make_model(workload)
        model.compile("adam", balancer)
        model.train_on_batch(*batch)
        counts = count_copies(lambda model=model: model.train_on_batch(*batch))
        print(f"{balancer}: {sum(counts.values())} copies a step")
        for line, count in counts.most_common() if arguments.by_line else ():
            print(f"{count:6d}  {line.removeprefix(PACKAGE) or 'Keras'}")


if __name__ == "__main__":
    main()
