import contextlib
import io
import pickle
import sys

import numpy as np
import pytest

from keras_atinet.data import TFDS, Folder, MTANArrays, NYUv2Mat, Parquet, Rooms
from keras_atinet.data.nyuv2.tfds_encoding import decode, encode, read_picture

Image = pytest.importorskip("PIL.Image")
tfds = pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.backend_free
SIZE = (24, 32)
# Registers the builder `nyuv2_multi_task`, which most of these tests need.
with contextlib.suppress(FileNotFoundError):
    TFDS(data_dir="nowhere")
ROOMS = list(Rooms(3, SIZE))


def rgb_normals(normal):
    return np.rint((normal + 1) * 127.5).astype("uint8")


def write_folder(root):
    for split, numbers in (("train", (0, 1)), ("test", (2,))):
        for number in numbers:
            room = ROOMS[number]
            labels = room["segmentation"].astype("uint8")
            labels[:4] = 255
            pictures = {
                "image": (np.rint(room["image"] * 255).astype("uint8"), "jpg"),
                "label13": (labels, "png"),
                "depth": (np.rint(room["depth"][..., 0] * 1000).astype("uint16"), "png"),
                "normal": (rgb_normals(room["normal"]), "jpg"),
            }
            if number == 1:
                del pictures["depth"]
            for folder, (pixels, suffix) in pictures.items():
                path = root / split / folder / f"{number:04}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)


def write_mtan_arrays(root):
    folders = {"image": "image", "segmentation": "label", "depth": "depth", "normal": "normal"}
    for split, numbers in (("train", (0, 1)), ("val", (2,))):
        for number in numbers:
            for key, folder in folders.items():
                (root / split / folder).mkdir(parents=True, exist_ok=True)
                np.save(root / split / folder / f"{number}.npy", ROOMS[number][key])


def write_parquet(root):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    for split, numbers in (("train", (0, 1)), ("val", (2,))):
        columns = {}
        for key in ROOMS[0]:
            rows = [ROOMS[number][key] for number in numbers]
            rows = [np.moveaxis(row, -1, 0) if row.ndim == 3 else row for row in rows]
            columns[key] = pa.array([row.tolist() for row in rows])
        pq.write_table(pa.table(columns), root / f"{split}-00000-of-00001.parquet")


def write_mat(root):
    h5py = pytest.importorskip("h5py")
    savemat = pytest.importorskip("scipy.io").savemat
    rng = np.random.default_rng(0)
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "w") as file:
        depth = np.linspace(1, 3, 640 * 480).reshape(640, 480).astype("float32")
        file["rawDepths"] = file["depths"] = np.stack([depth] * 3)
        blocks = rng.integers(0, 895, (3, 64, 48))
        file["labels"] = np.kron(blocks, np.ones((10, 10))).astype("uint16")
        file["images"] = np.full((3, 3, 640, 480), 77, "uint8")
    savemat(root / "splits.mat", {"trainNdxs": [[1], [2]], "testNdxs": [[3]]})


WRITERS = {
    "folder": (write_folder, Folder),
    "mtan_arrays": (write_mtan_arrays, MTANArrays),
    "parquet": (write_parquet, Parquet),
    "mat_13": (write_mat, NYUv2Mat),
    "mat_40": (write_mat, lambda root, split: NYUv2Mat(root, split, num_classes=40)),
}


def prepare_arguments(manual_dir):
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    return {"download_config": config}


def load(config, split, data_dir, manual_dir, **options):
    return tfds.load(
        f"nyuv2_multi_task/{config}",
        split=split,
        data_dir=data_dir,
        download_and_prepare_kwargs=prepare_arguments(manual_dir),
        **options,
    )


@pytest.mark.parametrize("config", WRITERS)
def test_each_form_can_be_loaded(tmp_path, config):
    pytest.importorskip("tensorflow")
    write, read = WRITERS[config]
    root = tmp_path / "mat" if config == "mat_13" else tmp_path
    root.mkdir(exist_ok=True)
    write(root)
    for split, length in (("train", 2), ("test", 1)):
        source = read(root, split)
        examples = list(tfds.as_numpy(load(config, split, tmp_path / "data", tmp_path)))
        assert len(examples) == len(source) == length
        for example, expected in zip(examples, source, strict=True):
            sample = decode(example)
            labels, depth = expected["segmentation"], expected.get("depth", 0)
            np.testing.assert_array_equal(sample["segmentation"], labels)
            if config == "folder":
                np.testing.assert_array_equal(sample["image"], expected["image"])
                np.testing.assert_array_equal(sample["normal"], expected["normal"])
            np.testing.assert_allclose(sample["depth"], depth + 0 * sample["depth"], atol=5.1e-4)
            assert np.abs(sample["image"] - expected["image"]).mean() < 0.02
            both = sample["normal"].any(axis=-1) & expected["normal"].any(axis=-1)
            assert (sample["normal"] * expected["normal"]).sum(axis=-1)[both].mean() > 0.98
            assert both.mean() > 0.95


def test_pictures_of_a_folder_are_kept(tmp_path):
    pytest.importorskip("tensorflow")
    write_folder(tmp_path)
    skip = {key: tfds.decode.SkipDecoding() for key in ("image", "normal")}
    examples = tfds.as_numpy(load("folder", "train", tmp_path / "data", tmp_path, decoders=skip))
    for number, example in enumerate(examples):
        for key in skip:
            path = tmp_path / "train" / key / f"{number:04}.jpg"
            assert example[key] == path.read_bytes()


def test_info_says_where_from(tmp_path):
    builder = tfds.builder("nyuv2_multi_task/mat_40", data_dir=tmp_path)
    assert str(builder.version) == "1.0.0" and "silberman2012indoor" in builder.info.citation
    assert "research" in builder.info.redistribution_info.license
    for name in ("nyu_depth_v2_labeled.mat", "tanganke/nyuv2", "lorenmt/mtan"):
        assert name in builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    assert set(builder.builder_configs) == set(WRITERS)
    empty = tmp_path / "empty"
    (empty / "nothing").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"'nyu_depth_v2_labeled\.mat'"):
        builder.download_and_prepare(**prepare_arguments(empty))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder, and the place where it is prepared for random access."""
    pytest.importorskip("array_record")
    pytest.importorskip("tensorflow")
    root, data_dir = tmp_path_factory.mktemp("folder"), tmp_path_factory.mktemp("data")
    write_folder(root)
    name = "nyuv2_multi_task/folder"
    builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
    builder.download_and_prepare(**prepare_arguments(root))
    return root, data_dir


def test_random_access_is_exact(prepared):
    root, data_dir = prepared
    for split in ("train", "test"):
        folder, source = Folder(root, split), TFDS(split=split, data_dir=data_dir)
        assert len(source) == len(folder) and source.image_size == SIZE
        assert source.tasks == folder.tasks and source.split == split
        copy = pickle.loads(pickle.dumps(source))
        for expected, sample, again in zip(folder, source, copy, strict=True):
            for key, value in expected.items():
                np.testing.assert_array_equal(sample[key], value)
                np.testing.assert_array_equal(again[key], value)
                assert sample[key].dtype == value.dtype
    assert not TFDS(data_dir=data_dir)[1]["depth"].any()
    assert set(TFDS(data_dir=data_dir, tasks=["depth"])[0]) == {"image", "depth"}
    assert len(TFDS(split="train[:1]", data_dir=data_dir)) == 1
    with pytest.raises(FileNotFoundError, match="'edges' in `tasks`"):
        TFDS(data_dir=data_dir, tasks=["edges"])


def test_damaged_pictures_are_named(prepared, monkeypatch):
    source = TFDS(data_dir=prepared[1])
    example = {**source._examples[1], "depth": b"no picture"}
    monkeypatch.setattr(source, "_examples", [None, example])
    with pytest.raises(ValueError, match="'depth' of sample 1 of split 'train' of 'nyuv2_multi"):
        source[1]


def test_unprepared_data_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="file_format='array_record'"):
        TFDS(data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="'no_such_builder'"):
        TFDS("no_such_builder", data_dir=tmp_path)


def test_tfds_is_asked_for_kindly(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"keras-atinet\[tensorflow\]"):
        TFDS()


def test_encoding_is_exact_where_it_says_so():
    room = {key: value.copy() for key, value in ROOMS[0].items()}
    room["segmentation"][:4] = -1
    room["depth"][:2], room["depth"][2, 0] = 0, 80
    room["normal"][5] = 0
    stored = encode(room)
    pictures = {key: read_picture(stored[key].read()) for key in ("image", "normal")}
    sample = decode({**stored, **pictures})
    np.testing.assert_array_equal(sample["segmentation"], room["segmentation"])
    np.testing.assert_array_equal(sample["depth"][:2], 0)
    assert sample["depth"][2, 0] == np.float32(65.535)
    np.testing.assert_allclose(sample["depth"][3:], room["depth"][3:], atol=5.1e-4)
    assert not sample["normal"][5].any()
    # A picture that is written again from what was read, by the same steps, stays what it is.
    assert encode(sample)["segmentation"].tobytes() == stored["segmentation"].tobytes()
    np.testing.assert_array_equal(encode(sample)["depth"], stored["depth"])
    with pytest.raises(ValueError, match=r"class 2\d\d\."):
        encode({**room, "segmentation": room["segmentation"] + 255})
    empty = encode({"image": room["image"]})
    grey = read_picture(empty.pop("normal").read())
    sample = decode({**empty, "image": pictures["image"], "normal": grey})
    assert (sample["segmentation"] == -1).all()
    assert not sample["depth"].any() and not sample["normal"].any()
    assert isinstance(empty["image"], io.BytesIO)
