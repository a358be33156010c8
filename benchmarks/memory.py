"""How much memory training takes at its peak, beside a plain PyTorch graph.

    KERAS_BACKEND=tensorflow python benchmarks/memory.py --against torch --remat attention
    python benchmarks/memory.py --backend tensorflow jax torch --against torch
    python benchmarks/memory.py --inference --batch-size 1 --against torch --folded

Each contender trains (or predicts) a few steps in a process of its own, one after the other. On a
CPU the peak is that of the whole process; what it held after importing the frameworks and the
package is told apart, and taken off for the net peak. On an accelerator it is that of the
framework's own counter.
"""

import argparse

import comparison
import workload
from contenders import started

GIGA = 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    workload.add_arguments(parser, batch_size=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--inference", action="store_true", help="predict instead of training")
    parser.add_argument("--remat", help="a variant with this rematerialisation: attention")
    parser.add_argument(
        "--alternative", nargs="+", choices=workload.ALTERNATIVES, help="another way"
    )
    parser.add_argument("--checkout", help="folder with another version of this package")
    parser.add_argument("--folded", action="store_true", help="`for_inference()` as well")
    arguments = parser.parse_args()
    load = workload.from_arguments(arguments)
    role = "Inference" if arguments.inference else "Training"
    contenders, facts, rows = [], [], []
    for contender in comparison.start(role, load, arguments):
        with started([contender]):
            imports, _ = contender.call("host_memory")
            facts.append(contender.call("prepare"))
            for _ in range(arguments.steps):
                contender.call("step")
            _, peak = contender.call("host_memory")
            row = {"imports": imports, "peak": peak, "net of imports": peak - imports}
            used = contender.call("device_memory")
            rows.append(row if used is None else {**row, "on the device": used})
            contenders.append(contender)
    print(f"\n{role} of {load}, peak of {arguments.steps} steps.")
    print(comparison.describe(contenders, facts) + "\n")
    print(table([contender.title for contender in contenders], rows, bool(arguments.against)))


def table(titles, rows, against):
    """Markdown.

    Args:
        titles: list of str.
        rows: list of dicts of bytes.
        against: bool, whether the first title is what the others are compared with.
    """
    columns = list(rows[0])
    names = ["", *(f"{column}, GB" for column in columns)]
    names += [f"{column} by PyTorch" for column in columns[1:]] * against
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for title, row in zip(titles, rows, strict=True):
        cells = [title, *(f"{row[column] / GIGA:.2f}" for column in columns)]
        if against:
            cells += [f"{row[column] / rows[0][column]:.2f}" for column in columns[1:]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
