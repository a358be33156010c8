"""What the networks cost: parameters, arithmetic, memory and time of training.

    KERAS_BACKEND=torch python benchmarks/costs.py
    KERAS_BACKEND=torch python benchmarks/costs.py --models mtan ctal --image-size 144 192

On PyTorch, which counts the operations of convolutions and products of matrices as they happen.
Each network is built, trained for some steps and measured in a process of its own, one after the
other. The peak is that of the process, without what it held after imports; the time is that of a
core, in one thread, so that other work on the machine matters less.
"""

import argparse
import os

import comparison
import host
import workload
from contenders import Contender, started

GIGA, MEGA = 1e9, 1e6
TITLES = (
    *("network", "parameters, M", "for training only, M", "GFLOP", "for inference, GFLOP"),
    *("parameters by {}", "peak memory, GB", "CPU time of a step, s", "by {}"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=workload.MODELS, default=workload.MODELS)
    parser.add_argument("--against", choices=workload.MODELS, default="mtan", help="measured first")
    parser.add_argument("--image-size", type=int, nargs=2, default=(288, 384))
    parser.add_argument("--filters", type=int, nargs=5, default=(64, 128, 256, 512, 512))
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2, help="the fastest of them counts")
    arguments = parser.parse_args()
    names = list(dict.fromkeys([arguments.against, *arguments.models]))
    rows = []
    for name in names:
        load = workload.Workload(
            model=name,
            image_size=tuple(arguments.image_size),
            filters=tuple(arguments.filters),
            batch_size=arguments.batch_size,
        )
        row, contender, facts = measure(load, arguments.steps)
        if not rows:
            print(f"Training of {load} and the others. {host.processor()}.")
            print(comparison.describe([contender], [facts]) + "\n")
            print("| " + " | ".join(TITLES).format(*[name] * 2) + " |")
            print("|---" * len(TITLES) + "|")
        rows.append(row)
        print(line(row, rows[0]), flush=True)


def measure(load, steps):
    """The costs of one network, the contender that had them and what it said of itself."""
    contender = Contender(load.model, "keras_contender:Costs", load, {"KERAS_BACKEND": "torch"})
    with started([contender]):
        imports, _ = contender.call("host_memory")
        facts = contender.call("prepare")
        seconds = min(contender.call("step") for _ in range(steps))
        _, peak = contender.call("host_memory")
        forward, inference = contender.call("forward_flops")
    return (
        {
            "name": load.model,
            "parameters": facts["parameters"],
            "auxiliary": facts["auxiliary parameters"],
            "forward": forward,
            "inference": inference,
            "memory": peak - imports,
            "seconds": seconds,
        },
        contender,
        facts,
    )


def line(row, first):
    """A row of the table, in Markdown."""
    cells = [
        row["name"],
        f"{row['parameters'] / MEGA:.2f}",
        f"{row['auxiliary'] / MEGA:.3f}",
        f"{row['forward'] / GIGA:.1f}",
        f"{row['inference'] / GIGA:.1f}",
        f"{row['parameters'] / first['parameters']:.3f}",
        f"{row['memory'] / GIGA:.2f}",
        f"{row['seconds']:.1f}",
        f"{row['seconds'] / first['seconds']:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
