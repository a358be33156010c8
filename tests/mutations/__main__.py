"""Damages files of data, seeded: each gives the right data or an error of one line.

    python tests/mutations --count 300 --seed 7

For each of `count` mutated files the data are opened and every sample is compared with that of the
undamaged data; `data verify`, `data inspect` and `evaluate` run in this process. It is wrong

- if anything else than a `ValueError` or `FileNotFoundError` comes out, or a command does not end;
- if samples, tasks or pixels are lost or changed without an error, but for those of the mutated
  file where its format cannot tell, such as a flipped pixel that has no checksum;
- if a command says something else about the data than the samples do.
"""

import argparse
import contextlib
import faulthandler
import io
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import traceback
import warnings

import numpy as np
from mutation_forms import FORMS, KEYS, SIZE
from mutation_kinds import LOOSE, NAMED, STRICT, odd_value, renamed

from keras_atinet import cli
from keras_atinet.data import open_source, splits
from keras_atinet.data.preparation.problems import problems

SECONDS = 60  # until a command counts as one that does not end


class Endless(BaseException):
    """A command does not end."""


@contextlib.contextmanager
def at_most(seconds):
    def stop(*_):
        raise Endless(f"longer than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(3 * seconds, exit=True)
    try:
        yield
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()


def read_all(root, options):
    """Split -> list of samples or errors, or the error that opening it gives."""
    found = {}
    for split in splits(root):
        try:
            source = open_source(root, split, **options)
            found[split] = [_read(source, index) for index in range(len(source))]
        except (ValueError, FileNotFoundError) as error:
            found[split] = error
    return found


def _read(source, index):
    try:
        sample = source[index]
    except ValueError as error:
        return error
    wrong = problems(sample, source.tasks)
    if wrong:
        raise AssertionError(f"a sample is taken that is not valid: {wrong}")
    return sample


def differences(found, good, touched):
    """Yields what is lost or changed without an error.

    Args:
        found, good: what `read_all` says of the mutated and of the undamaged data.
        touched: relative paths of the files that may say something else, or None for all.
    """
    for split, samples in good.items():
        if split not in found:
            yield f"the split {split} is lost"
        elif touched is None or isinstance(found[split], Exception):
            continue
        elif len(found[split]) != len(samples):
            yield f"{split} has {len(found[split])} samples, not {len(samples)}"
        else:
            for index, pair in enumerate(zip(found[split], samples, strict=True)):
                for key in _different(*pair):
                    if not _may_differ(split, index, key, touched):
                        yield f"{key!r} of sample {index} of {split} differs"


def _different(sample, expected):
    if isinstance(sample, Exception):
        return []
    same = {key: np.array_equal(sample[key], expected[key]) for key in sample}
    return [key for key in expected if not same.get(key)]


def _may_differ(split, index, key, touched):
    # One file holds an array of one sample, an array of all samples, or all that there is.
    for path in touched:
        parent, stem = path.parent, path.stem
        if len(path.parts) == 1:
            differs = path.suffix == ".mat"
        elif len(path.parts) == 2:
            differs = str(parent) == split and stem in (key, "present")
        else:
            differs = str(parent.parent) == split and (KEYS[parent.name], stem) == (key, str(index))
        if differs:
            return True
    return False


def command(*arguments):
    """The exit status and all that a command prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
    return status, text.getvalue()


class Checker:
    """Mutates the data of one form and collects what is wrong.

    Args:
        folder: `pathlib.Path` of a folder to work in.
        form: a key of `FORMS`.
        model: path of a trained network for `evaluate`, or None to leave the commands out.
    """

    def __init__(self, folder, form, model=None):
        self.good_root, self.root, self.model = folder / form, folder / f"{form}-mutated", model
        self.out = folder / "samples.png"
        self.options = {"tasks": ["segmentation", "depth"]} if form == "mat" else {}
        FORMS[form](self.good_root)
        self.good = read_all(self.good_root, self.options)
        assert not any(isinstance(s, Exception) for of in self.good.values() for s in of)

    def check(self, rng):
        """Mutates one file: what was done, what is wrong, and whether there was an error."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.good_root, self.root)
        # SciPy's reader of `splits.mat` crashes on some damage, whatever is done around it.
        files = [
            path
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and path.name != "splits.mat"
        ]
        # Descriptions are few, and all depends on them.
        weights = np.array([8.0 if path.suffix == ".json" else 1.0 for path in files])
        path = files[rng.choice(len(files), p=weights / weights.sum())]
        mutations = [*STRICT, *LOOSE, *[odd_value] * (8 if path.suffix == ".json" else 0)]
        mutation = mutations[rng.integers(len(mutations))]
        done = f"{mutation.__name__} {path.relative_to(self.root)}"
        touched = mutation(path, rng, self.root)
        if mutation is odd_value and touched is not None:
            done += f": {path.read_text()[:400]}"
        if mutation in LOOSE:
            touched = [file.relative_to(self.root) for file in touched or [path]]
            # Of a description, or of a whole split, all may change.
            if any(file.suffix in (".json", ".parquet") for file in touched):
                touched = None
            if mutation is renamed and path.suffix == ".parquet":
                return done, [], False  # a split that no one knows of
        elif mutation in STRICT:
            touched = []
        wrong, failed = [], False
        with at_most(SECONDS):
            try:
                found = read_all(self.root, self.options)
                wrong += differences(found, self.good, touched)
                samples = [s for of in found.values() for s in (of if type(of) is list else [of])]
                errors = [s for s in samples if isinstance(s, Exception)]
            except (ValueError, FileNotFoundError) as error:
                errors = [error]
                found = {}
            except (Exception, Endless):
                return done, [traceback.format_exc()], True
            failed = bool(errors)
            if mutation in NAMED and errors:
                wrong += [f"no file is named: {e}" for e in errors if str(path) not in str(e)]
            if self.model:
                try:
                    wrong += self._commands(found, errors, rng)
                except (Exception, Endless):
                    wrong.append(traceback.format_exc())
        return done, wrong, failed

    def _commands(self, found, errors, rng):
        tasks = ["--tasks", *self.options["tasks"]] if self.options else []
        status, text = command("data", "verify", self.root, *tasks)
        if bool(errors) != bool(status) and "twice" not in text:
            yield f"verify says {status}, reading says {errors[:1]}:\n{text}"
        held_out = found.get([*self.good][1], FileNotFoundError())
        fails = isinstance(held_out, Exception) or any(isinstance(s, Exception) for s in held_out)
        split = [*self.good][1]
        yield from self._complaints(
            "evaluate", fails, "--model", self.model, "--data", self.root, "--split", split
        )
        if rng.random() < 0.3:
            yield from self._complaints(
                "data", None, "inspect", self.root, "--out", self.out, *tasks
            )

    def _complaints(self, name, fails, *arguments):
        status, text = command(name, *arguments)
        if status not in (0, 2) or (fails and not status):
            yield f"{name} {arguments} says {status} where the samples fail: {fails}:\n{text}"
        last = text.strip().splitlines()[-1:] or [""]
        if status == 2 and "Expected one of" not in text and "keras-atinet: error: " not in last[0]:
            yield f"{name} ends without an error of one line:\n{text}"


def trained(folder):
    """A network for `evaluate`, hardly trained."""
    sizes = ["--image-size", *SIZE, "--filters", *[4] * 5]
    options = ["--model", "split", "--epochs", 1, "--num-samples", 4, "--verbose", 0]
    status, text = command("train", "--out", folder, *options, *sizes)
    assert status == 0, text
    return folder / "best.keras"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300, help="mutated files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--only", type=int, help="the number of one mutation, to look at it")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = trained(folder / "run")
        checkers = [Checker(folder, form, model) for form in arguments.forms]
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
