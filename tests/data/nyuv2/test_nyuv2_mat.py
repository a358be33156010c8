import concurrent.futures
import pathlib
import pickle
import sys

import numpy as np
import pytest

from keras_atinet.data import Folder, NYUv2Mat, normals_from_depth, resize
from keras_atinet.data.nyuv2.classes import class_table, nyuv2_tasks
from keras_atinet.data.nyuv2.splits import published_split

h5py = pytest.importorskip("h5py")
io = pytest.importorskip("scipy.io")
pytestmark = pytest.mark.backend_free
SHARED = pathlib.Path(__file__).parents[3].parent / "shared"
ROWS, COLUMNS = slice(47, 467), slice(41, 601)
needs_meta = pytest.mark.skipif(
    not (SHARED / "nyuv2_mat").is_dir(), reason=f"NYUv2's small files are not at {SHARED}"
)


def read_meta(name):
    """A variable of NYUv2's small files, as SciPy reads it."""
    files = {"classMapping13": "class13Mapping", "mapClass": "classMapping40"}
    files["className"] = files["mapClass"]
    path = SHARED / "nyuv2_mat" / f"{files.get(name, 'splits')}.mat"
    return io.loadmat(path, simplify_cells=True)[name]


def make_fields(num_samples=3):
    """The fields of the file in the order of axes that h5py shows: the last is the row."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 3, (num_samples, 1, 1)) + np.linspace(0, 1, 640)[:, None]
    depth = np.broadcast_to(depth, (num_samples, 640, 480)).astype("float32")
    raw = depth.copy()
    raw[:, 300:320, 200:260] = 0
    blocks = rng.integers(0, 895, (num_samples, 64, 48))
    colors = rng.integers(0, 256, (num_samples, 3, 64, 48))
    return {
        "images": np.kron(colors, np.ones((10, 10))).astype("uint8"),
        "labels": np.kron(blocks, np.ones((10, 10))).astype("uint16"),
        "depths": depth,
        "rawDepths": raw,
    }


def write(folder, fields, name="nyu_depth_v2_labeled.mat"):
    with h5py.File(folder / name, "w") as file:
        for key, value in fields.items():
            chunks = (1, *value.shape[1:])
            file.create_dataset(key, data=value, chunks=chunks, compression="gzip")


def write_splits(folder, train=(3, 1), test=(2,)):
    splits = {"trainNdxs": np.array([train], "uint16").T, "testNdxs": np.array([test], "uint16").T}
    io.savemat(folder / "splits.mat", splits)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nyu")
    write(folder, make_fields())
    write_splits(folder)
    return folder


@pytest.fixture
def root(original, tmp_path):
    for path in original.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@needs_meta
def test_the_facts_of_the_labelled_set():
    for split, name in (("train", "trainNdxs"), ("test", "testNdxs")):
        np.testing.assert_array_equal(published_split(split), read_meta(name).astype(int) - 1)
    to_40 = read_meta("mapClass").astype(int)
    to_13 = read_meta("classMapping13")["labels13"].astype(int)
    np.testing.assert_array_equal(class_table(40), [-1, *(to_40 - 1)])
    np.testing.assert_array_equal(class_table(13), [-1, *(to_13[to_40 - 1] - 1)])
    names = {40: read_meta("className"), 13: read_meta("classMapping13")["classNames"]}
    for num_classes, expected in names.items():
        facts = nyuv2_tasks(num_classes)["segmentation"]
        assert facts["num_classes"] == num_classes and facts["class_names"] == list(expected)


@pytest.mark.parametrize("num_classes", [13, 40])
def test_the_file_becomes_samples(original, num_classes):
    fields = make_fields()
    source = NYUv2Mat(original, num_classes=num_classes, image_size=None)
    assert len(source) == 2 and source.split == "train" and source.image_size == (420, 560)
    assert source.tasks == nyuv2_tasks(num_classes)
    sample = source[0]  # the third of the file
    images = fields["images"][2].transpose(2, 1, 0)[ROWS, COLUMNS]
    np.testing.assert_allclose(sample["image"], images / 255, atol=1e-6)
    labels = fields["labels"][2].T[ROWS, COLUMNS]
    np.testing.assert_array_equal(sample["segmentation"], class_table(num_classes)[labels])
    depth = fields["rawDepths"][2].T[ROWS, COLUMNS]
    np.testing.assert_array_equal(sample["depth"][..., 0], depth)
    assert not sample["normal"][depth == 0].any()
    dtypes = {key: value.dtype.name for key, value in sample.items()}
    assert dtypes.pop("segmentation") == "int32" and set(dtypes.values()) == {"float32"}


def test_all_1449_samples_need_no_other_file(tmp_path):
    shapes = {"images": (3, 640, 480), "labels": (640, 480), "rawDepths": (640, 480)}
    path = tmp_path / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "w") as file:
        for name, shape in shapes.items():
            file.create_dataset(name, (1449, *shape), "uint8", chunks=(1, *shape))  # not filled
    train, test = (NYUv2Mat(path, split, tasks=["segmentation"]) for split in ("train", "test"))
    assert (len(train), len(test)) == (795, 654)
    assert (train.where(0), test.where(-1)) == (f"sample 3 in '{path}'", f"sample 1449 in '{path}'")
    assert not train[0]["image"].any() and (test[-1]["segmentation"] == -1).all()
    (tmp_path / "other").mkdir()
    write_splits(tmp_path / "other", train=(7, 8))
    assert len(NYUv2Mat(path, splits=tmp_path / "other" / "splits.mat")) == 2
    # One that lies there is meant.
    write_splits(tmp_path, train=(7,))
    assert len(NYUv2Mat(path)) == 1


def test_filled_depth_has_no_holes(original):
    raw, filled = (NYUv2Mat(original, "test", depth=depth)[0] for depth in ("raw", "filled"))
    assert (raw["depth"] == 0).any() and not (filled["depth"] == 0).any()
    known = raw["depth"] > 0
    np.testing.assert_array_equal(raw["depth"][known], filled["depth"][known])


def test_samples_are_resized_as_by_resize(original):
    full = NYUv2Mat(original, image_size=None)[1]
    source = NYUv2Mat(original)
    assert source.image_size == (288, 384)
    sample, expected = source[1], resize(full, (288, 384))
    for key, value in expected.items():
        np.testing.assert_array_equal(sample[key], value)
    # The rule of the published label maps.
    rows = ((np.arange(288) + 0.5) * 420 / 288).astype(int)
    columns = ((np.arange(384) + 0.5) * 560 / 384).astype(int)
    np.testing.assert_array_equal(
        sample["segmentation"], full["segmentation"][rows[:, None], columns]
    )


def test_intrinsics_follow_crop_and_size(original):
    np.testing.assert_allclose(
        NYUv2Mat(original, image_size=None).intrinsics, (518.86, 519.47, 284.58, 206.74), atol=0.01
    )
    source = NYUv2Mat(original)
    np.testing.assert_allclose(source.intrinsics, (355.79, 356.21, 194.99, 141.60), atol=0.01)
    sample = source[0]
    normals = normals_from_depth(sample["depth"], source.intrinsics)
    known = normals.any(axis=-1) & sample["normal"].any(axis=-1)
    cosine = (normals * sample["normal"]).sum(axis=-1)[known]
    assert known.mean() > 0.95 and cosine.mean() > 0.999


def test_only_the_chosen_tasks_are_read(original):
    assert set(NYUv2Mat(original, tasks=["normal"])[0]) == {"image", "normal"}
    assert set(NYUv2Mat(original, tasks=[])[0]) == {"image"}
    with pytest.raises(FileNotFoundError, match="'edges' in `tasks`"):
        NYUv2Mat(original, tasks=["edges"])


def test_threads_and_copies_read_the_same(original):
    source = NYUv2Mat(original / "nyu_depth_v2_labeled.mat", tasks=["depth"])
    expected = [sample["depth"] for sample in source]
    copies = [source, pickle.loads(pickle.dumps(source))]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [(pool.submit(s.__getitem__, i), i) for i in (0, 1) for s in copies * 2]
        for job, index in jobs:
            np.testing.assert_array_equal(job.result()["depth"], expected[index])


def test_missing_files_are_named(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (root / "splits.mat").rename(elsewhere / "mine.mat")
    with pytest.raises(FileNotFoundError, match=r"these 3 samples need .*splits\.mat.*`splits`"):
        NYUv2Mat(root)
    assert len(NYUv2Mat(root, splits=elsewhere / "mine.mat")) == 2
    (elsewhere / "mine.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"mine\.mat"):
        NYUv2Mat(root, splits=elsewhere / "mine.mat")
    with pytest.raises(FileNotFoundError, match=r"`path`.*elsewhere.*with \[\]"):
        NYUv2Mat(elsewhere)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "val"}, "split='val'"),
        ({"num_classes": 894}, "num_classes=894"),
        ({"depth": "float"}, "depth='float'"),
    ],
)
def test_wrong_arguments_are_named(original, arguments, message):
    with pytest.raises(ValueError, match=message):
        NYUv2Mat(original, **arguments)


def test_wrong_files_are_named(root):
    write_splits(root, train=(1, 7))
    with pytest.raises(ValueError, match=r"between 1 and 3\. Received: 7 in .*splits\.mat"):
        NYUv2Mat(root)
    good = (root / "splits.mat").read_bytes()
    for damaged in (b"", b"MATLAB", good[:150], b"\x89PNG" * 50):
        (root / "splits.mat").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"`trainNdxs`.*splits\.mat"):
            NYUv2Mat(root)
    io.savemat(root / "splits.mat", {"trainNdxs": "three"})
    for split, message in (("train", "values of <U"), ("test", "KeyError: 'testNdxs'")):
        with pytest.raises(ValueError, match=message):
            NYUv2Mat(root, split)
    write_splits(root)
    fields = make_fields()
    del fields["rawDepths"]
    write(root, fields)
    with pytest.raises(ValueError, match=r"`?'rawDepths'.*'depth' as None.*labeled\.mat"):
        NYUv2Mat(root)
    path = root / "nyu_depth_v2_labeled.mat"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"cut short.*labeled\.mat"):
        NYUv2Mat(root)


def test_damaged_samples_are_named(root):
    write_splits(root)
    fields = make_fields()
    fields["labels"][0, 300, 200] = 895
    write(root, fields)
    path = root / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "r") as file:
        chunk = file["images"].id.get_chunk_info(2)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)
    source = NYUv2Mat(root, tasks=["segmentation"])
    with pytest.raises(ValueError, match=r"'image' \(`images`\) of sample 3 in .*labeled\.mat"):
        source[0]
    with pytest.raises(ValueError, match=r"class 895 in 'segmentation' of sample 1"):
        source[1]


@pytest.mark.parametrize("package", ["h5py", "scipy"])
def test_packages_are_asked_for_kindly(original, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"keras-atinet\[data\]"):
        NYUv2Mat(original)


@pytest.mark.skipif(
    not (SHARED / "nyuv2_mat").is_dir() or not (SHARED / "nyuv2").is_dir(),
    reason=f"NYUv2 is not at {SHARED}",
)
def test_nyuv2():
    folder = Folder(
        SHARED / "nyuv2", "train", ["segmentation", "segmentation40", "depth", "normal"]
    )
    source = NYUv2Mat(SHARED / "nyuv2_mat", depth="filled")
    classes = NYUv2Mat(SHARED / "nyuv2_mat", num_classes=40, tasks=["segmentation"])
    assert len(source) == 4
    assert source.tasks["segmentation"] == folder.tasks["segmentation"]
    assert classes.tasks["segmentation"] == folder.tasks["segmentation40"]
    numbers = [int(name) for name in folder._names]
    for index, number in enumerate((3, 340, 885, 1440)):
        expected, sample = folder[numbers.index(number)], source[index]
        np.testing.assert_array_equal(sample["segmentation"], expected["segmentation"])
        np.testing.assert_array_equal(classes[index]["segmentation"], expected["segmentation40"])
        np.testing.assert_allclose(sample["depth"], expected["depth"], atol=5.1e-4)
        assert np.abs(sample["image"] - expected["image"]).mean() < 0.01
        cosine = (sample["normal"] * expected["normal"]).sum(axis=-1)
        assert np.median(cosine) > 0.97


def test_links_that_lead_nowhere_are_no_fields(tmp_path):
    fields = make_fields(1)
    del fields["rawDepths"]
    write(tmp_path, fields)
    for link in (h5py.SoftLink("/rawDepths"), h5py.SoftLink("/nothing")):
        with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "a") as file:
            if file.get("rawDepths", getlink=True):
                del file["rawDepths"]
            file["rawDepths"] = link
        with pytest.raises(ValueError, match=r"needs the field 'rawDepths'.*'depth' as .*\.mat"):
            NYUv2Mat(tmp_path)
