"""Damages files of data: each gives the right samples or an error."""

import shutil

import numpy as np
from mutation_commands import Endless, at_most, complaint, formatted, run_command
from mutation_forms import FORMS, KEYS
from mutation_kinds import LOOSE, NAMED, STRICT, chosen, odd_value, renamed

from keras_atinet.data import open_source, splits
from keras_atinet.data.preparation.problems import problems


class DataChecker:
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
        path, mutation = chosen(self.root, rng)
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
        wrong, errors = [], []
        try:
            try:
                with at_most():
                    found = read_all(self.root, self.options)
            except (ValueError, FileNotFoundError) as error:
                found, errors = {}, [error]
            else:
                wrong += differences(found, self.good, touched)
                samples = [s for of in found.values() for s in (of if type(of) is list else [of])]
                errors = [s for s in samples if isinstance(s, Exception)]
            if mutation in NAMED:
                wrong += [f"no file is named: {e}" for e in errors if str(path) not in str(e)]
            if self.model:
                wrong += self._commands(found, errors, rng)
        except (Exception, Endless):
            wrong.append(formatted())
        return done, wrong, bool(errors)

    def _commands(self, found, errors, rng):
        tasks = ["--tasks", *self.options["tasks"]] if self.options else []
        status, text = run_command("data", "verify", self.root, *tasks)
        if bool(errors) != bool(status) and "twice" not in text:
            yield f"verify ends with {status}, reading says {errors[:1]}:\n{text}"
        split = [*self.good][1]
        samples = found.get(split, FileNotFoundError())
        fails = isinstance(samples, Exception) or any(isinstance(s, Exception) for s in samples)
        options = ["--model", self.model, "--data", self.root, "--split", split]
        status, text = run_command("evaluate", *options)
        yield from complaint("evaluate", status, text)
        if fails and not status:
            yield f"evaluate takes samples that cannot be read:\n{text}"
        if rng.random() < 0.3:
            command = ["data", "inspect", self.root, "--out", self.out, *tasks]
            yield from complaint("inspect", *run_command(*command))


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
