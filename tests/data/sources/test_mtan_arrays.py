import pickle

import numpy as np
import pytest

from keras_atinet.data import MTANArrays, Rooms
from keras_atinet.data.nyuv2.classes import NYU13_TASKS

pytestmark = pytest.mark.backend_free
SIZE = (6, 8)
FOLDERS = {"image": "image", "segmentation": "label", "depth": "depth", "normal": "normal"}


def write(root, number, sample, split="train", **others):
    """Writes a sample as MTAN's authors do: floats, channels last, labels (H, W)."""
    for key, value in {**sample, **others}.items():
        folder = root / split / FOLDERS[key]
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{number}.npy", value)


def make_sample(number=0, seed=0):
    rng = np.random.default_rng([seed, number])
    normal = rng.normal(size=(*SIZE, 3))
    return {
        "image": rng.random((*SIZE, 3)),
        "segmentation": rng.integers(-1, 13, SIZE).astype("float64"),
        "depth": rng.uniform(1, 5, (*SIZE, 1)),
        "normal": normal / np.linalg.norm(normal, axis=-1, keepdims=True),
    }


@pytest.fixture
def root(tmp_path):
    for number in range(12):
        write(tmp_path, number, make_sample(number))
    write(tmp_path, 0, make_sample(99), split="val")
    return tmp_path


def test_arrays_become_samples(root):
    source = MTANArrays(root)
    assert len(source) == 12 and source.split == "train" and source.image_size == SIZE
    assert source.tasks == {
        "segmentation": NYU13_TASKS["segmentation"],
        "depth": {"kind": "depth"},
        "normal": {"kind": "normal"},
    }
    # In the order of numbers, not of names.
    for number, sample in enumerate(source):
        expected = make_sample(number)
        assert sample["segmentation"].dtype == np.int32
        assert {sample[key].dtype.name for key in ("image", "depth", "normal")} == {"float32"}
        for key, value in expected.items():
            np.testing.assert_allclose(sample[key], value, atol=1e-6)
    assert len(MTANArrays(root, "val")) == len(MTANArrays(root, "test")) == 1
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy[3]["depth"], source[3]["depth"])


def test_missing_values_and_other_layouts(root):
    sample = make_sample()
    sample["depth"] = sample["depth"][..., 0].astype("float16")
    sample["depth"][0, :3] = [0, -1, np.nan]
    sample["normal"][0, 0] = 0
    sample["normal"][0, 1] = np.nan
    sample["normal"][1] *= 0.9
    sample["segmentation"] = sample["segmentation"].astype("int64")
    sample["image"] = np.rint(sample["image"] * 255).astype("uint8")
    write(root, 0, sample)
    read = MTANArrays(root, normal_axes=("x", "y", "z"))[0]
    np.testing.assert_array_equal(read["depth"][0, :3, 0], 0)
    np.testing.assert_array_equal(read["depth"][1:, :, 0], sample["depth"][1:])
    np.testing.assert_array_equal(read["normal"][0, :2], 0)
    np.testing.assert_allclose(np.linalg.norm(read["normal"][1], axis=-1), 1, atol=1e-6)
    np.testing.assert_array_equal(read["segmentation"], sample["segmentation"])
    np.testing.assert_allclose(read["image"], sample["image"] / 255, atol=1e-6)


def test_a_target_may_be_absent(root):
    (root / "train" / "depth" / "3.npy").unlink()
    source = MTANArrays(root)
    assert set(source[3]) == {"image", "segmentation", "normal"}
    assert set(MTANArrays(root, tasks=["depth"])[0]) == {"image", "depth"}
    assert set(MTANArrays(root, tasks=[])[0]) == {"image"}


@pytest.mark.parametrize("axes", [("x", "y", "z"), ("x", "-z", "-y"), ("-x", "y", "-z")])
def test_axes_of_normals_are_found_out(tmp_path, axes):
    rooms = Rooms(4, (60, 80))
    for number, room in enumerate(rooms):
        stored = np.empty_like(room["normal"])
        for target, axis in enumerate(axes):
            sign = -1 if axis.startswith("-") else 1
            stored[..., "xyz".index(axis[-1])] = sign * room["normal"][..., target]
        write(tmp_path, number, room, normal=stored)
    source = MTANArrays(tmp_path)
    assert source.normal_axes == axes
    np.testing.assert_allclose(source[1]["normal"], rooms[1]["normal"], atol=1e-6)
    alone = MTANArrays(tmp_path, tasks=["normal"], normal_axes=("x", "y", "z"))
    assert alone.normal_axes == ("x", "y", "z")
    with pytest.raises(ValueError, match=r"normal_axes=.*'-y'"):
        MTANArrays(tmp_path, normal_axes=("x", "-y", "y"))


def test_axes_stay_when_depth_does_not_tell(root):
    assert MTANArrays(root).normal_axes == ("x", "y", "z")
    sample = make_sample()
    flat = {**sample, "depth": np.full((*SIZE, 1), 2.0), "normal": np.tile([0.0, 0, 1], (*SIZE, 1))}
    for number in range(12):
        write(root, number, flat)
    assert MTANArrays(root).normal_axes == ("x", "y", "z")


def test_missing_parts_are_named(root):
    with pytest.raises(FileNotFoundError, match=r"\['train', 'val'\].*split='dev'"):
        MTANArrays(root, "dev")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        MTANArrays(root / "nowhere")
    with pytest.raises(FileNotFoundError, match="'edges' in `tasks`"):
        MTANArrays(root, tasks=["edges"])
    np.save(root / "train" / "label" / "77.npy", np.zeros(SIZE))
    with pytest.raises(ValueError, match=r"label.77\.npy.*without"):
        MTANArrays(root)
    (root / "empty" / "image").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="needs arrays"):
        MTANArrays(root, "empty")


@pytest.mark.parametrize(
    ("key", "array", "message"),
    [
        ("image", np.zeros((*SIZE, 4)), r"3 channels.*'image' in .*0\.npy.*\(6, 8, 4\)"),
        ("image", np.full((*SIZE, 3), 200.0), r"\[0, 1\].*'image' in .*0\.npy.*200"),
        ("image", np.full((*SIZE, 3), np.nan), r"\[0, 1\].*'image' in .*0\.npy.*nan"),
        ("segmentation", np.full(SIZE, 13.0), r"whole numbers.*13\.0 in 'segmentation'.*0\.npy"),
        ("segmentation", np.full(SIZE, 0.5), r"whole numbers.*0\.5 in 'segmentation'.*0\.npy"),
        ("segmentation", np.zeros((*SIZE, 1)), r"no channels.*'segmentation'.*\(6, 8, 1\)"),
        ("segmentation", np.zeros((3, 8)), r"as large as.*'segmentation'.*0\.npy.*\(3, 8\)"),
        ("depth", np.zeros((*SIZE, 3)), r"1 channels.*'depth' in .*0\.npy"),
        ("depth", np.zeros(SIZE, "complex64"), r"'depth' in .*0\.npy.*complex64"),
        ("normal", np.zeros(SIZE), r"3 channels.*'normal' in .*0\.npy"),
        ("normal", np.float64(3), r"3 channels.*'normal' in .*0\.npy"),
    ],
)
def test_wrong_arrays_are_named(root, key, array, message):
    write(root, 0, {key: array})
    with pytest.raises(ValueError, match=message):
        MTANArrays(root, normal_axes=("x", "y", "z"))[0]


@pytest.mark.parametrize("share", [0, 0.1, 0.9])
def test_damaged_files_are_named(root, share):
    path = root / "train" / "depth" / "0.npy"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    source = MTANArrays(root)
    assert len(source[1]) == 4
    with pytest.raises(ValueError, match=r"cut short.*'depth' in .*depth.0\.npy"):
        source[0]


def test_a_number_occurs_once(root):
    np.save(root / "train" / "depth" / "01.npy", make_sample()["depth"])
    with pytest.raises(ValueError, match=r"must occur once.*depth.01\.npy' and .*depth.1\.npy"):
        MTANArrays(root)
