"""Damages files of data, seeded: each gives the right data or an error of one line.

    python tests/mutations.py --count 300 --seed 7

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
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import traceback
import warnings

import numpy as np
from PIL import Image

from keras_atinet import cli
from keras_atinet.data import Rooms, open_source, prepare, splits
from keras_atinet.data.preparation.problems import problems

SIZE = (32, 32)
LENGTHS = {"train": 3, "test": 2}
SECONDS = 60  # until a command counts as one that does not end
FOLDERS = {"image": "image", "segmentation": "label", "depth": "depth", "normal": "normal"}
KEYS = {folder: key for key, folder in FOLDERS.items()} | {"label13": "segmentation"}


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def rooms():
    for split, length in LENGTHS.items():
        for index, sample in enumerate(Rooms(length, SIZE, split)):
            yield split, index, sample


def write_pictures(root, suffix=".png", target=".png", description=True):
    for split, index, sample in rooms():
        arrays = {
            "image": np.rint(sample["image"] * 255).astype("uint8"),
            "label13": sample["segmentation"].astype("uint8"),
            "depth": np.rint(sample["depth"][..., 0] * 1000).astype("uint16"),
            "normal": np.rint((sample["normal"] + 1) * 127.5).astype("uint8"),
        }
        if target == ".npy":
            arrays |= {key: sample[key] for key in ("depth", "normal")}
        for key, array in arrays.items():
            save(root / split / key / f"{index}{suffix if key == 'image' else target}", array)
    tasks = {
        "segmentation": {"folder": "label13", "num_classes": 13, "ignore_class": 255},
        "depth": {"scale": 0.001, "missing": 0},
        "normal": {"encoding": "rgb"},
        "segmentation2": {"folder": "label13", "class_names": ["a"] * 13, "num_classes": 13},
    }
    facts = {"name": "mutated", "image_size": [*SIZE], "tasks": tasks}
    if description:
        (root / "dataset.json").write_text(json.dumps(facts))


def write_photographs(root):
    write_pictures(root, ".jpg", description=False)


def write_tiffs(root):
    write_pictures(root, ".tif", ".tif", description=False)


def write_targets_as_arrays(root):
    write_pictures(root, ".bmp", ".npy", description=False)


def write_mtan(root):
    for split, index, sample in rooms():
        split = {"test": "val"}.get(split, split)
        for key, array in sample.items():
            save(root / split / FOLDERS[key] / f"{index}.npy", array.astype("float64"))


def write_parquet(root):
    import pyarrow
    from pyarrow import parquet

    columns = {split: {key: [] for key in FOLDERS} for split in LENGTHS}
    for split, _, sample in rooms():
        for key, array in sample.items():
            array = array if array.ndim == 2 else np.moveaxis(array, -1, 0)
            columns[split][key].append(array.tolist())
    root.mkdir()
    for split, of_split in columns.items():
        split = {"test": "val"}.get(split, split)
        parquet.write_table(pyarrow.table(of_split), root / f"{split}-00000-of-00001.parquet")


def write_prepared(root):
    prepare([Rooms(n, SIZE, split) for split, n in LENGTHS.items()], root, verbose=0)


def write_mat(root):
    import h5py
    from scipy import io as scipy_io

    root.mkdir()
    rng = np.random.default_rng(0)
    fields = {
        "images": rng.integers(0, 256, (2, 3, 8, 8)).astype("uint8"),
        "labels": rng.integers(0, 500, (2, 8, 8)).astype("uint16"),
        "rawDepths": rng.uniform(1, 5, (2, 8, 8)).astype("float32"),
    }
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "w") as file:
        for name, field in fields.items():
            field = field.repeat(80, axis=-2).repeat(60, axis=-1)
            file.create_dataset(name, data=field, chunks=(1, *field.shape[1:]), compression="gzip")
    scipy_io.savemat(root / "splits.mat", {"trainNdxs": [[1]], "testNdxs": [[2]]})


FORMS = {
    "pictures": write_pictures,
    "photographs": write_photographs,
    "tiffs": write_tiffs,
    "arrays": write_targets_as_arrays,
    "mtan": write_mtan,
    "parquet": write_parquet,
    "prepared": write_prepared,
    "mat": write_mat,
}

# Mutations of a file. Those in STRICT are told by every format, or change nothing.


def truncated(path, rng, root):
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(1, len(content))])


def emptied(path, rng, root):
    path.write_bytes(b"")


def flipped(path, rng, root):
    content = np.frombuffer(path.read_bytes(), "uint8").copy()
    # Often in the head of the file, where the format is.
    end = rng.choice([128, len(content)])
    where = rng.integers(min(end, len(content)), size=rng.integers(1, 9))
    content[where] ^= rng.integers(1, 256, len(where), dtype="uint8")
    path.write_bytes(content.tobytes())


def zeroed(path, rng, root):
    content = path.read_bytes()
    start, length = rng.integers(len(content)), int(rng.integers(1, 200))
    path.write_bytes((content[:start] + bytes(length) + content[start + length :])[: len(content)])


def lengthened(path, rng, root):
    path.write_bytes(path.read_bytes() + rng.bytes(40))


def rewritten(path, rng, root):
    """Another dtype, other channels, another size."""
    pixels = rng.integers(0, 256, (*SIZE, 4), "uint8")
    arrays = [pixels, pixels[..., :3], pixels[..., :2], pixels[..., 0], pixels[:7, :9, :3]]
    arrays += [pixels[..., 0] > 9, rng.integers(0, 60000, SIZE, "uint16")]
    if path.suffix == ".npy":
        arrays += [
            (1e4 * rng.normal(size=(*SIZE, 3))).astype("float16"),
            1e300 * rng.normal(size=(*SIZE, 3)),
            rng.integers(-(2**62), 2**62, SIZE),
            rng.normal(size=SIZE) + 1j,
            np.full((*SIZE, 1), "text"),
            np.full((*SIZE, 3), np.nan),
            np.full((*SIZE, 1), np.inf),
            np.zeros((0, 0, 3)),
            np.zeros(()),
            np.zeros((3, *SIZE), "float32"),
            np.zeros(SIZE, [("x", "f4"), ("y", "i4")]),
        ]
    array = arrays[rng.integers(len(arrays))]
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        # What it is is in the content, not in the name.
        Image.fromarray(np.ascontiguousarray(array)).save(path, "png")


def swapped(path, rng, root):
    other = rng.choice([file for file in sorted(root.rglob("*")) if file.is_file()])
    contents = path.read_bytes(), other.read_bytes()
    path.write_bytes(contents[1])
    other.write_bytes(contents[0])
    return [path, other]


def renamed(path, rng, root):
    names = [f"9{path.name}", f"{path.stem}.PNG", f".{path.name}", path.stem, f"{path.name} copy"]
    path.rename(path.with_name(names[rng.integers(len(names))]))


def dangling(path, rng, root):
    path.unlink()
    path.symlink_to(root / "nowhere" / path.name)


def looping(path, rng, root):
    path.unlink()
    path.symlink_to(path.name)


def elsewhere(path, rng, root):
    kept = path.with_name(f"kept-{path.name}.bak")
    path.rename(kept)
    path.symlink_to(kept.name)


def made_folder(path, rng, root):
    path.unlink()
    path.mkdir()


def folder_looping(path, rng, root):
    folder = path.parent if path.parent != root else path
    shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    folder.symlink_to(folder.name)


def odd_value(path, rng, root):
    """Also what Python takes for JSON, or no one can read."""
    if path.suffix != ".json":
        return emptied(path, rng, root)
    content = json.loads(path.read_text())
    odd = [None, True, -1, 0, 1, 1.5, 1e308, float("inf"), float("nan"), 10**20, "", "x", "../.."]
    odd += ["/etc", "\x00", "\ud800", "e" * 300, [], [1], {"a": 1}, [[[]]], -(10**400)]
    places = list(_places(content))
    holder, key = places[rng.integers(len(places))]
    holder[key] = odd[rng.integers(len(odd))]
    path.write_text(json.dumps(content))
    # Another number is a valid statement, which nothing contradicts.
    loose = key in ("scale", "missing", "ignore_class") and isinstance(holder[key], int | float)
    return None if loose else []


def _places(value):
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(child, dict | list):
            yield from _places(child)


def nested(path, rng, root):
    path.write_bytes(b"[" * 100_000)


STRICT = (truncated, emptied, dangling, looping, elsewhere, folder_looping, nested)
LOOSE = (flipped, flipped, zeroed, lengthened, rewritten, swapped, renamed, made_folder)
# Errors about these name the file.
NAMED = (truncated, emptied, flipped, zeroed, lengthened, rewritten)


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
