"""What is done to a file."""

import json
import shutil

import numpy as np
from mutation_forms import SIZE
from PIL import Image


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


# Every format tells these, or they change nothing.
STRICT = (truncated, emptied, dangling, looping, elsewhere, folder_looping, nested)
LOOSE = (flipped, flipped, zeroed, lengthened, rewritten, swapped, renamed, made_folder)
# Errors about these name the file.
NAMED = (truncated, emptied, flipped, zeroed, lengthened, rewritten)


def chosen(root, rng):
    """One of the files in a folder, and what is to be done to it."""
    # SciPy's reader of `splits.mat` crashes on some damage, whatever is done around it.
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    files = [path for path in files if path.name != "splits.mat"]
    # Descriptions are few, and all depends on them.
    weights = np.array([8.0 if path.suffix == ".json" else 1.0 for path in files])
    path = files[rng.choice(len(files), p=weights / weights.sum())]
    mutations = [*STRICT, *LOOSE, *[odd_value] * (8 if path.suffix == ".json" else 0)]
    return path, mutations[rng.integers(len(mutations))]
