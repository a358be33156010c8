import pathlib

import numpy as np
import pytest

from keras_atinet.data import TFDS, Folder, HuggingFace, MTANArrays, Parquet, Rooms
from keras_atinet.data.opening import open_source, recognize, splits
from keras_atinet.data.preparation.prepare import prepare
from keras_atinet.data.preparation.prepared import Prepared

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.backend_free
SIZE = (6, 8)
MATLAB = pathlib.Path(__file__).parents[2].parent / "shared" / "nyuv2_mat"


def write(kind, path):
    """Data of one kind with two splits, named as they are wherever it is found."""
    if kind == "prepared":
        prepare([Rooms(2, SIZE), Rooms(1, SIZE, "test")], path, verbose=0)
        return ["train", "test"]
    held_out = "test" if kind == "folder" else "val"
    for split in (held_out, "train"):
        if kind == "parquet":
            write_parquet(path / "data" / f"{split}-00000-of-00001.parquet")
            continue
        for folder in ("image", "depth"):
            (path / split / folder).mkdir(parents=True)
        image = np.zeros((*SIZE, 3))
        if kind == "folder":
            Image.fromarray(image.astype("uint8")).save(path / split / "image" / "a.PNG")
            Image.fromarray(np.ones(SIZE, "uint16")).save(path / split / "depth" / "a.png")
        else:
            np.save(path / split / "image" / "0.npy", image)
            np.save(path / split / "depth" / "0.npy", np.ones((*SIZE, 1)))
    return ["train", held_out]


def write_parquet(file):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file.parent.mkdir(parents=True, exist_ok=True)
    table = {"image": [np.zeros((3, *SIZE)).tolist()], "depth": [np.ones((1, *SIZE)).tolist()]}
    parquet.write_table(pyarrow.table(table), file)


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("folder", Folder),
        ("arrays", MTANArrays),
        ("parquet", Parquet),
        ("prepared", Prepared),
    ],
)
def test_data_are_recognized(tmp_path, kind, source):
    expected = write(kind, tmp_path / "data")
    assert splits(tmp_path / "data") == expected
    first = open_source(str(tmp_path / "data"))
    assert type(first) is source and first.split == "train"
    held_out = open_source(tmp_path / "data", expected[1], ["depth"])
    assert (held_out.split, list(held_out.tasks)) == (expected[1], ["depth"])
    assert set(held_out[0]) == {"image", "depth"}
    with pytest.raises(FileNotFoundError, match="'edges'"):
        open_source(tmp_path / "data", tasks=["edges"])
    with pytest.raises(FileNotFoundError, match=r"split='extra'"):
        open_source(tmp_path / "data", "extra")


def test_a_folder_without_splits(tmp_path):
    write("folder", tmp_path)
    assert splits(tmp_path / "train") == [None]
    source = open_source(tmp_path / "train")
    assert len(source) == 1 and source.split is None


def test_one_parquet_file(tmp_path):
    write_parquet(tmp_path / "some.parquet")
    assert splits(tmp_path / "some.parquet") == ["some"]
    assert len(open_source(tmp_path / "some.parquet")) == 1


def test_splits_come_in_the_order_of_learning(tmp_path):
    for name in ("zebra", "test", "validation", "train", "val"):
        (tmp_path / name / "image").mkdir(parents=True)
        np.save(tmp_path / name / "image" / "0.npy", np.zeros((*SIZE, 3)))
    assert splits(tmp_path) == ["train", "val", "validation", "test", "zebra"]


def test_rooms_need_no_files():
    assert splits("rooms") == ["train", "test"]
    assert isinstance(open_source("rooms"), Rooms)
    source = open_source("rooms", "test", ["depth"], num_samples=2, image_size=SIZE)
    assert (source.split, len(source), source.image_size) == ("test", 2, SIZE)
    assert set(source[1]) == {"image", "depth"} and list(source.tasks) == ["depth"]
    with pytest.raises(ValueError, match="'edges'"):
        open_source("rooms", tasks=["edges"])


def test_names_of_other_libraries():
    form = recognize("huggingface:tanganke/nyuv2")
    assert form.source is HuggingFace and form.splits == ["train", "val"]
    form = recognize("tfds:nyuv2_multi_task/folder")
    assert form.source is TFDS and form.splits == ["train", "test"]


def test_what_is_unknown_says_what_was_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such data.*nowhere.*Expected one of"):
        open_source(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"nothing in it"):
        open_source(tmp_path)
    (tmp_path / "pictures").mkdir()
    for index in range(9):
        (tmp_path / f"{index}.tif").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"has 0\.tif, .* and 2 more.*\n.*rooms"):
        splits(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"0\.tif' is a file"):
        splits(tmp_path / "0.tif")


@pytest.mark.skipif(not MATLAB.is_dir(), reason=f"the .mat files are not at {MATLAB}")
def test_the_original_nyuv2():
    file = MATLAB / "nyu_depth_v2_labeled_6.mat"
    pytest.importorskip("h5py")
    assert splits(file) == ["train", "test"]
    source = open_source(
        file, "test", ["depth"], splits=MATLAB / "splits_6.mat", image_size=(48, 64)
    )
    assert set(source[0]) == {"image", "depth"} and source.image_size == (48, 64)
