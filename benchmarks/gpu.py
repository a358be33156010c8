"""What training costs on an accelerator, over precisions, compilation and batch sizes.

    KERAS_BACKEND=tensorflow python benchmarks/gpu.py
    KERAS_BACKEND=torch python benchmarks/gpu.py --dtypes mixed_bfloat16 --jit off --data nyuv2-fast
    python benchmarks/gpu.py --allow-cpu --image-size 32 64 --filters 4 8 8 8 8 --batch-sizes 2 \\
        --dtypes float32 --jit off --out /tmp/table.md

Each row is a process of its own that trains by `fit`: on one batch over and over, and fed by the
package's own input, which augments rooms that lie in memory or, with `--data`, samples of a data
set. Where both take the same time the input keeps the device busy. Utilisation is the arithmetic of
the network's convolutions in a fed step by what products of large square matrices reach in the same
process and precision. Compilation is XLA on TensorFlow and JAX, `torch.compile` on PyTorch. The
table, with device, versions and date, is appended to benchmarks/README.md.
"""

import argparse
import datetime
import itertools
import pathlib
import shlex
import sys

import host
import workload
from contenders import Contender, started

README = pathlib.Path(__file__).with_name("README.md")
NAMES = (
    "dtype",
    "jit",
    "batch",
    "first step, s",
    "step on one batch, ms",
    "fed step, ms",
    "images/s, fed",
    "utilisation",
    "peak memory, GB",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    workload.add_network_arguments(parser)
    parser.add_argument("--dtypes", nargs="+", choices=workload.DTYPES, default=workload.DTYPES)
    parser.add_argument("--jit", nargs="+", choices=workload.JIT, default=("on", "off"))
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=(2, 8, 16, 32))
    parser.add_argument("--remat", help="rematerialisation: attention")
    parser.add_argument("--data", help="data set to read; rooms in memory without it")
    parser.add_argument("--steps", type=int, default=20, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=3, help="timed, after a first one")
    parser.add_argument("--out", type=pathlib.Path, default=README, help="file to append to")
    parser.add_argument("--allow-cpu", action="store_true", help="to try the script")
    arguments = parser.parse_args()
    if arguments.steps < 2:
        parser.error("`--steps` must be at least 2, for the first of an epoch is not timed.")
    if arguments.allow_cpu and arguments.out == README:
        parser.error("`--allow-cpu` only tries the script: give another file as `--out`.")
    base = workload.network(arguments).replace(remat=arguments.remat)
    for backend in arguments.backend:
        rows, facts = [], {}
        for dtype, jit, batch_size in itertools.product(
            arguments.dtypes, arguments.jit, arguments.batch_sizes
        ):
            load = base.replace(dtype=dtype, jit=jit, batch_size=batch_size)
            cells, facts = measure(backend, load, arguments, facts)
            rows.append((dtype, jit, str(batch_size), *cells))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
        text = section(rows, facts, backend)
        print(text)
        with arguments.out.open("a", encoding="utf-8") as file:
            file.write("\n" + text + "\n")


def measure(backend, load, arguments, facts):
    """The other cells of a row, and what `prepare` told of the device."""
    title = f"{backend}, {load}"
    contender = Contender(title, "fit_contender:Fit", load, {"KERAS_BACKEND": backend})
    with started([contender]):
        try:
            facts = contender.call("prepare")
            if facts["device"] is None and not arguments.allow_cpu:
                raise SystemExit(
                    f"No accelerator is there for {backend}. Install the backend with CUDA, or "
                    "try the script with `--allow-cpu`."
                )
            result = contender.call("measure", arguments.steps, arguments.epochs, arguments.data)
        except RuntimeError as error:
            # Too large a batch must not end the table.
            print(error, file=sys.stderr)
            return ["out of memory" if _is_memory(error) else "failed", *[""] * 5], facts
    memory = result["memory"]
    return [
        f"{result['first_step']:.1f}",
        f"{1000 * result['step']:.1f}",
        f"{1000 * result['fed_step']:.1f}",
        f"{load.batch_size / result['fed_step']:.1f}",
        f"{100 * result['utilization']:.0f} %",
        "" if memory is None else f"{memory / 1e9:.2f}",
    ], facts


def section(rows, facts, backend):
    """Markdown: device, versions, date, command and table."""
    lines = [
        f"### {facts.get('device') or host.processor()}, {backend}, {datetime.date.today()}",
        "",
        f"{'; '.join(facts.get('versions', []))}. By `{shlex.join(sys.argv)}`:",
        "",
        f"| {' | '.join(NAMES)} |",
        "|---" * len(NAMES) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines)


def _is_memory(error):
    message = str(error).lower()
    return any(words in message for words in ("out of memory", "resource_exhausted", "exit code"))


if __name__ == "__main__":
    main()
