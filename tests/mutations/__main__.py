"""Damages files of data and of runs, seeded: each gives what is right or an error of one line.

    python tests/mutations --count 300 --seed 7

Data: for each mutated file they are opened, and every sample is compared with that of the
undamaged data; `data verify`, `data inspect` and `evaluate` run in this process. Runs: `evaluate`,
`info` and `train --resume`, compared with an undisturbed training. It is wrong

- if anything else than a `ValueError` or `FileNotFoundError` comes out, or a command does not end
  or ends without an error of one line;
- if samples, tasks or pixels are lost or changed without an error, but for those of the mutated
  file where its format cannot tell, such as a flipped pixel that has no checksum;
- if a command says something else about the data than the samples do;
- if a model with other weights is evaluated, or a resumed training has other losses.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import warnings

import numpy as np
from mutation_data import DataChecker
from mutation_forms import FORMS
from mutation_runs import RunChecker, trained

RUNS = "runs"


def main():
    forms = [*FORMS, RUNS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300, help="mutated files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--forms", nargs="+", choices=forms, default=forms)
    parser.add_argument("--only", type=int, help="the number of one mutation, to look at it")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = trained(folder / "run")
        checkers = [
            RunChecker(folder) if form == RUNS else DataChecker(folder, form, model)
            for form in arguments.forms
        ]
        found = failures = 0
        for number in range(arguments.count):
            if arguments.only not in (None, number):
                continue
            rng = np.random.default_rng([arguments.seed, number])
            checker = checkers[number % len(checkers)]
            done, wrong, failed = checker.check(rng)
            failures += failed
            found += bool(wrong)
            for text in wrong:
                print(f"--- {number} {checker.root.name}: {done}\n{text}", flush=True)
        print(f"{arguments.count} mutated files, {failures} with an error, {found} wrong")
    return 1 if found else 0


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "torch")
    sys.exit(main())
