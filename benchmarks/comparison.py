"""Contenders side by side in one run: who they are, and the table of their times."""

import datetime

import host
import numpy as np
from contenders import Contender, run_rounds, started

GIGA = 1e9


def add_arguments(parser):
    """The arguments of scripts that measure time."""
    parser.add_argument("--rounds", type=int, default=5, help="turns of every contender")
    parser.add_argument("--steps", type=int, default=1, help="steps in a turn")


def start(role, workload, arguments, files=()):
    """Generates the contenders of a run.

    Args:
        role: str, `"Training"` or `"Inference"`, the class to measure.
        workload: `Workload`.
        arguments: parsed arguments: `backend`, `against`, and `remat` or `folded` for a variant
            that is measured beside the plain one.
        files: exported files, for inference.
    """
    if arguments.against:
        yield Contender("PyTorch graph, eager", f"torch_contender:{role}", workload)
    for backend in arguments.backend:
        for name, changes in _variants(arguments):
            title = ", ".join(filter(None, (backend, f"jit {workload.jit}", name)))
            yield Contender(
                title,
                f"keras_contender:{role}",
                workload.replace(**changes),
                {"KERAS_BACKEND": backend},
            )
        if getattr(arguments, "checkout", None):
            yield Contender(
                f"{backend}, {arguments.checkout}",
                f"keras_contender:{role}",
                workload,
                {"KERAS_BACKEND": backend, "PYTHONPATH": arguments.checkout},
            )
    for file in files:
        yield Contender(file, f"file_contender:{role}", workload.replace(file=file))


def _variants(arguments):
    yield None, {}
    remat = getattr(arguments, "remat", None)
    if remat:
        yield f"remat {remat}", {"remat": remat}
    for alternative in getattr(arguments, "alternative", None) or ():
        yield alternative, {"remat": remat, "alternative": alternative}
    if getattr(arguments, "folded", False):
        yield "folded", {"folded": True}


def describe(contenders, facts):
    """What was measured, where and with what: a str.

    Args:
        contenders: list of `Contender`.
        facts: list of what their `prepare` returned.

    Raises:
        SystemExit: if the networks have different numbers of parameters.
    """
    pairs = zip(contenders, facts, strict=True)
    counts = {c.title: fact["parameters"] for c, fact in pairs if "parameters" in fact}
    if len(set(counts.values())) > 1:
        raise SystemExit(f"The contenders must be one network. Received parameters: {counts}.")
    device = next((fact["device"] for fact in facts if fact.get("device")), host.processor())
    versions = "; ".join(dict.fromkeys(name for fact in facts for name in fact["versions"]))
    threads = contenders[0].workload.threads
    return (
        f"{next(iter(counts.values())):,} trainable parameters in each network.\n"
        f"{datetime.date.today()}, {device}, {threads} cores; {versions}."
    )


def compare_times(role, workload, arguments, files=()):
    """Runs the rounds and prints their table."""
    product = Contender("matrix product", "matrix_product:MatrixProduct", workload)
    with started([product, *start(role, workload, arguments, files)]) as contenders:
        description = describe(contenders, [contender.call("prepare") for contender in contenders])
        first, seconds = run_rounds(contenders, arguments.rounds, arguments.steps)
        flops = next(c for c in contenders if c.kind.startswith("keras_")).call("flops")
        rates = np.concatenate(
            [product.call("flops") / seconds[:, :1], flops / seconds[:, 1:]], axis=1
        )
    print(f"\n{role} of {workload}: {flops / workload.batch_size / GIGA:.1f} GFLOP an image.")
    print(description)
    print(
        f"Matrix product: {np.median(rates[:, 0]) / GIGA:.0f} GFLOP/s "
        f"({rates[:, 0].min() / GIGA:.0f} to {rates[:, 0].max() / GIGA:.0f}); medians of "
        f"{arguments.rounds} rounds, ratios of each round.\n"
    )
    titles = [contender.title for contender in contenders[1:]]
    print(table(titles, workload.batch_size, first, seconds, rates, bool(arguments.against)))


def table(titles, batch_size, first, seconds, rates, against):
    """Markdown; the first column of the arrays belongs to the matrix product.

    Args:
        titles: list of str.
        batch_size: int, images in a step.
        first: array `(1 + titles,)`, seconds of the first calls.
        seconds: array `(rounds, 1 + titles)`, of a step.
        rates: array of the same shape, FLOP/s.
        against: bool, whether the first title is what the others are compared with.
    """
    names = ["", "first call, s", "step, s (range)", "images/s", "GFLOP/s", "of the product"]
    names += ["images/s by PyTorch"] * against
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for k, title in enumerate(titles, 1):
        times = seconds[:, k]
        middle = np.median(times)
        cells = [
            title,
            f"{first[k]:.1f}",
            f"{middle:.3g} ({times.min():.3g} to {times.max():.3g})",
            f"{batch_size / middle:.3g}",
            f"{np.median(rates[:, k]) / GIGA:.0f}",
            f"{100 * np.median(rates[:, k] / rates[:, 0]):.0f} %",
        ]
        if against:
            cells.append(f"{np.median(seconds[:, 1] / times):.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
