"""How long a train step takes, beside a plain PyTorch graph and the machine's own peak.

    KERAS_BACKEND=tensorflow python benchmarks/train_step.py --against torch
    python benchmarks/train_step.py --backend tensorflow torch --against torch --remat attention
    python benchmarks/train_step.py --model mtan --image-size 96 128 --filters 16 32 64 128 128
    python benchmarks/train_step.py --backend torch --checkout ../before   # what a change costs

Forward, the three losses, backward and Adam, without metrics, on one batch over and over. Each
contender has a process of its own and they take turns, round after round; all ratios are medians
over the rounds of what was measured in the same round, so other work on the machine does little to
them. The first call, which compiles, is told apart.
"""

import argparse

import comparison
import workload


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    workload.add_arguments(parser, batch_size=2)
    comparison.add_arguments(parser)
    parser.add_argument("--remat", help="a variant with this rematerialisation: attention")
    parser.add_argument(
        "--alternative", nargs="+", choices=workload.ALTERNATIVES, help="another way"
    )
    parser.add_argument("--checkout", help="folder with another version of this package")
    arguments = parser.parse_args()
    comparison.compare_times("Training", workload.from_arguments(arguments), arguments)


if __name__ == "__main__":
    main()
