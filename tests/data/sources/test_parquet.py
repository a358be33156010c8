import concurrent.futures
import pickle
import sys
import types

import numpy as np
import pytest

from keras_atinet.data import HuggingFace, Parquet, Rooms
from keras_atinet.data.nyuv2.classes import NYU13_TASKS

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.backend_free
SIZE = (6, 8)


def make_row(number, size=SIZE):
    rng = np.random.default_rng(number)
    normal = rng.normal(size=(3, *size))
    return {
        "image": rng.random((3, *size), dtype="float32"),
        "segmentation": rng.integers(-1, 13, size),
        "depth": rng.uniform(1, 5, (1, *size)).astype("float32"),
        "normal": (normal / np.linalg.norm(normal, axis=0)).astype("float32"),
    }


def nested(ndim, dtype):
    kind = pa.from_numpy_dtype(dtype)
    for _ in range(ndim):
        kind = pa.list_(kind)
    return kind


def write(path, rows, row_group_size=2):
    """Writes rows as the `datasets` library does: a nested list per array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {}
    for key, value in rows[0].items():
        column = [None if row[key] is None else row[key].tolist() for row in rows]
        columns[key] = pa.array(column, nested(value.ndim, value.dtype))
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)


def check(sample, row):
    np.testing.assert_allclose(sample["image"], np.moveaxis(row["image"], 0, -1), atol=1e-6)
    np.testing.assert_array_equal(sample["segmentation"], row["segmentation"])
    np.testing.assert_array_equal(sample["depth"], np.moveaxis(row["depth"], 0, -1))
    np.testing.assert_allclose(sample["normal"], np.moveaxis(row["normal"], 0, -1), atol=1e-6)
    assert sample["segmentation"].dtype == np.int32
    assert {sample[key].dtype.name for key in ("image", "depth", "normal")} == {"float32"}


@pytest.fixture
def root(tmp_path):
    rows = [make_row(number) for number in range(9)]
    write(tmp_path / "data" / "train-00000-of-00002-f3a1.parquet", rows[:5])
    write(tmp_path / "data" / "train-00001-of-00002-90bc.parquet", rows[5:])
    write(tmp_path / "data" / "val-00000-of-00001-77aa.parquet", [make_row(99)])
    return tmp_path


def test_rows_become_samples(root):
    source = Parquet(root)
    assert len(source) == 9 and source.split == "train" and source.image_size == SIZE
    assert source.tasks == {
        "segmentation": NYU13_TASKS["segmentation"],
        "depth": {"kind": "depth"},
        "normal": {"kind": "normal"},
    }
    for number in (8, 0, 3, 5, 4, 1, 7, 2, 6, -1):
        check(source[number], make_row(number % 9))
    assert len(source._cache) <= 2
    for split in ("val", "test"):
        check(Parquet(root / "data", split)[0], make_row(99))
    file = root / "data" / "val-00000-of-00001-77aa.parquet"
    check(Parquet(file, "val")[0], make_row(99))


def test_threads_and_copies_read_the_same(root):
    source = Parquet(root)
    copies = [source, pickle.loads(pickle.dumps(source))]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [(pool.submit(s.__getitem__, i), i) for i in range(9) for s in copies * 2]
        for job, index in jobs:
            check(job.result(), make_row(index))


def test_fixed_lists_and_chosen_tasks(tmp_path):
    row = make_row(0)
    depth = pa.array(row["depth"].ravel())
    for size in (SIZE[1], SIZE[0], 1):
        depth = pa.FixedSizeListArray.from_arrays(depth, size)
    image = pa.array([row["image"].tolist()], nested(3, row["image"].dtype))
    pq.write_table(pa.table({"image": image, "depth": depth}), tmp_path / "train.parquet")
    source = Parquet(tmp_path)
    assert list(source.tasks) == ["depth"]
    np.testing.assert_array_equal(source[0]["depth"][..., 0], row["depth"][0])
    assert set(Parquet(tmp_path, tasks=[])[0]) == {"image"}
    with pytest.raises(FileNotFoundError, match="'normal' in `tasks`"):
        Parquet(tmp_path, tasks=["normal"])


def test_a_null_is_an_absent_target(tmp_path):
    rows = [make_row(0), {**make_row(1), "depth": None}, make_row(2)]
    write(tmp_path / "train.parquet", rows)
    source = Parquet(tmp_path)
    assert set(source[1]) == {"image", "segmentation", "normal"}
    check(source[2], rows[2])


def test_axes_of_normals_are_found_out(tmp_path):
    room = Rooms(1, (60, 80))[0]
    x, y, z = np.moveaxis(room["normal"], -1, 0)
    row = {
        "image": np.moveaxis(room["image"], -1, 0),
        "segmentation": room["segmentation"].astype("int64"),
        "depth": np.moveaxis(room["depth"], -1, 0),
        "normal": np.stack([x, -z, -y]),
    }
    write(tmp_path / "train.parquet", [row])
    source = Parquet(tmp_path)
    assert source.normal_axes == ("x", "-z", "-y")
    np.testing.assert_allclose(source[0]["normal"], room["normal"], atol=1e-6)


def test_missing_parts_are_named(root):
    with pytest.raises(FileNotFoundError, match=r"train-00000-of.*split='dev'"):
        Parquet(root, "dev")
    (root / "data" / "train-00001-of-00002-90bc.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"\[2\] files.*1 files.*complete"):
        Parquet(root)
    pq.write_table(pa.table({"label": [1]}), root / "train.parquet")
    with pytest.raises(ValueError, match=r"column `image`.*train\.parquet.*\['label'\]"):
        Parquet(root)


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "train.parquet"
    write(path, [make_row(0), make_row(1)], row_group_size=1)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"cut short.*train\.parquet"):
        Parquet(tmp_path)
    half = len(content) // 2
    path.write_bytes(content[:4] + bytes(half - 4) + content[half:])
    with pytest.raises(ValueError, match=r"'image' in row 0 of row group 0 of .*train\.parquet"):
        Parquet(tmp_path)[0]


@pytest.mark.parametrize(
    ("key", "array", "message"),
    [
        ("image", np.zeros((4, *SIZE)), r"3 channels.*'image' in row 0.*\(4, 6, 8\)"),
        ("segmentation", np.full(SIZE, 13), r"13 in 'segmentation' in row 0"),
        ("depth", np.zeros((1, 3, 8)), r"as large as.*'depth' in row 0"),
        ("normal", np.zeros(SIZE), r"3 channels.*'normal' in row 0"),
    ],
)
def test_wrong_rows_are_named(tmp_path, key, array, message):
    write(tmp_path / "train.parquet", [{**make_row(0), key: array}])
    with pytest.raises(ValueError, match=message):
        Parquet(tmp_path, normal_axes=("x", "y", "z"))[0]


def test_ragged_rows_are_named(tmp_path):
    row = make_row(0)
    image = row["image"].tolist()
    image[1] = image[1][:-1]
    column = pa.array([image], nested(3, row["image"].dtype))
    pq.write_table(pa.table({"image": column}), tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="'image' in row 0"):
        Parquet(tmp_path)[0]


def test_pyarrow_is_asked_for_kindly(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"keras-atinet\[data\]"):
        Parquet(root)


class Rows:
    """The part of `datasets.Dataset` that is used."""

    def __init__(self, rows):
        self.rows, self.column_names = rows, list(rows[0])

    def with_format(self, name):
        assert name == "numpy"
        return self

    def select_columns(self, names):
        return [{name: row[name] for name in names} for row in self.rows]

    def __len__(self):
        return len(self.rows)


def test_hugging_face_rows_become_samples(monkeypatch):
    asked = []

    def load_dataset(name, split):
        asked.append((name, split))
        return Rows([make_row(0), {**make_row(1), "normal": None}])

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    source = HuggingFace(split="test")
    assert asked == [("tanganke/nyuv2", "val")]
    assert len(source) == 2 and source.image_size == SIZE and source.split == "test"
    check(source[0], make_row(0))
    assert set(source[1]) == {"image", "segmentation", "depth"}


def test_hugging_face_reads_local_files(root):
    pytest.importorskip("datasets")
    source = HuggingFace(str(root), "val")
    check(source[0], make_row(99))


def test_what_the_hub_refuses_is_told(monkeypatch):
    def load_dataset(name, split):
        raise ConnectionError("no network")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(FileNotFoundError, match=r"'nobody/nothing', split='train' \(no network\)"):
        HuggingFace("nobody/nothing")


def test_datasets_is_asked_for_kindly(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"keras-atinet\[huggingface\]"):
        HuggingFace()
