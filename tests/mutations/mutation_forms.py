"""Small data of every form."""

import json

import numpy as np
from PIL import Image

from keras_atinet.data import Rooms, prepare

SIZE = (32, 32)
LENGTHS = {"train": 3, "test": 2}
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
