import json
import os
import pickle
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from keras_atinet.data import Rooms, Source
from keras_atinet.data.preparation.description import prepared_splits
from keras_atinet.data.preparation.locking import only_one
from keras_atinet.data.preparation.prepare import prepare
from keras_atinet.data.preparation.prepared import Prepared
from keras_atinet.files import WriteError

pytestmark = pytest.mark.backend_free
SIZE = (6, 8)


class MortalRooms(Rooms):
    """Kill the process that reads one of them."""

    fatal = None

    def __getitem__(self, index):
        if index == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


class Scenes(Source):
    """Random samples; every third lacks depth, every fourth labels, one all of it."""

    image_size = SIZE
    stop_at = None

    def __init__(self, length=10, split="train", num_classes=200):
        self.length, self.split, self.read = length, split, []
        self.num_classes = num_classes
        self.tasks = {
            "segmentation": {"num_classes": num_classes},
            "depth": {},
            "normal": {},
            "flow": {"channels": 2},
        }

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        index = self._position(index)
        if index == self.stop_at:
            raise KeyboardInterrupt
        self.read.append(index)
        rng = np.random.default_rng(index)
        normal = rng.normal(size=(*SIZE, 3)).astype("float32")
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        normal[0] = 0
        sample = {
            "image": rng.uniform(size=(*SIZE, 3)).astype("float32"),
            "segmentation": rng.integers(-1, self.num_classes, SIZE, "int32"),
            "depth": rng.uniform(0, 10, (*SIZE, 1)).astype("float32"),
            "normal": normal,
            "flow": rng.normal(size=(*SIZE, 2)).astype("float32"),
        }
        lacking = {3: ["depth"], 4: ["segmentation"], 7: list(self.tasks)}.get(index, [])
        return {key: value for key, value in sample.items() if key not in lacking}


def assert_reads_back(prepared, source):
    assert len(prepared) == len(source)
    half_steps = {"image": 0.501 / 255, "normal": 0.501 / 32767}
    for index in range(len(source)):
        sample, expected = prepared[index], source[index]
        assert list(sample) == list(expected)
        for key, value in expected.items():
            assert sample[key].dtype == value.dtype and type(sample[key]) is np.ndarray
            np.testing.assert_allclose(sample[key], value, rtol=0, atol=half_steps.get(key, 0))
        if "normal" in sample:
            np.testing.assert_array_equal(sample["normal"][0], 0)


@pytest.mark.parametrize(("num_classes", "dtype"), [(13, "int8"), (128, "int8"), (200, "int16")])
def test_what_is_prepared_reads_back(tmp_path, num_classes, dtype):
    source, other = Scenes(num_classes=num_classes), Scenes(3, "val", num_classes)
    prepared, held_out = prepare([source, other], tmp_path / "fast", verbose=0)
    assert prepared_splits(tmp_path / "fast") == ["train", "val"]
    assert (prepared.split, held_out.split, prepared.image_size) == ("train", "val", SIZE)
    assert prepared.tasks["segmentation"] == {"kind": "segmentation", "num_classes": num_classes}
    assert np.load(tmp_path / "fast" / "train" / "segmentation.npy").dtype == dtype
    assert_reads_back(prepared, source)
    assert_reads_back(held_out, other)
    assert_reads_back(pickle.loads(pickle.dumps(prepared)), source)
    np.testing.assert_array_equal(prepared[-1]["image"], prepared[9]["image"])
    with pytest.raises(IndexError):
        prepared[10]


def test_samples_belong_to_the_caller(tmp_path):
    (prepared,) = prepare(Scenes(2), tmp_path, verbose=0)
    prepared[0]["depth"][:] = 0
    assert prepared[0]["depth"].max() > 0


def test_threads_read_the_same(tmp_path):
    (prepared,) = prepare(Scenes(), tmp_path, verbose=0)
    fresh = Prepared(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        samples = list(pool.map(lambda index: fresh[index % 10], range(80)))
    for index, sample in enumerate(samples):
        np.testing.assert_array_equal(sample["image"], prepared[index % 10]["image"])


def test_only_the_chosen_tasks_are_read(tmp_path):
    prepare(Scenes(), tmp_path, verbose=0)
    (tmp_path / "train" / "depth.npy").unlink()
    prepared = Prepared(tmp_path, tasks=["normal"])
    assert set(prepared[0]) == {"image", "normal"} and list(prepared.tasks) == ["normal"]
    with pytest.raises(FileNotFoundError, match=r"depth\.npy"):
        Prepared(tmp_path)
    with pytest.raises(FileNotFoundError, match="'edges' in `tasks`"):
        Prepared(tmp_path, tasks=["edges"])
    with pytest.raises(FileNotFoundError, match=r"\['train'\].*split='val'"):
        Prepared(tmp_path, "val")


def test_samples_are_resized(tmp_path):
    (prepared,) = prepare(Rooms(2, (16, 20)), tmp_path, image_size=(8, 10), verbose=0)
    assert prepared.image_size == (8, 10)
    assert prepared[1]["normal"].shape == (8, 10, 3)
    assert np.array_equal(prepared[1]["depth"], Rooms(2, (16, 20))[1]["depth"][1::2, 1::2])


def test_ctrl_c_loses_nothing(tmp_path):
    source = Scenes()
    source.stop_at = 7
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path, verbose=0)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".train.lock", "train.part"]
    assert prepared_splits(tmp_path) == []
    # What a process leaves that is killed while it writes the description.
    (tmp_path / "train.part" / "prepared.json.1.part").mkdir()
    source = Scenes()
    (prepared,) = prepare(source, tmp_path, verbose=0)
    assert min(source.read) == 7
    assert [entry.name for entry in tmp_path.iterdir()] == ["train"]
    assert not list((tmp_path / "train").glob("*.part"))
    assert_reads_back(prepared, Scenes())
    # A third call finds everything done.
    source = Scenes()
    prepare(source, tmp_path, verbose=0)
    assert source.read == []


def test_a_full_disk_loses_nothing(tmp_path, limit_files):
    limit_files(10_000)
    with pytest.raises(WriteError, match=r"Not written: '.*train\.part', about 0\.1 MB needed, "):
        prepare(Scenes(100), tmp_path, verbose=0)
    limit_files(-1)
    (prepared,) = prepare(Scenes(100), tmp_path, verbose=0)
    assert_reads_back(prepared, Scenes(100))


def test_what_has_no_room_is_not_begun(tmp_path, monkeypatch):
    free = SimpleNamespace(free=50_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    source = Scenes(100)
    with pytest.raises(WriteError, match=r"0\.1 MB needed, 0\.1 MB left\. Make room"):
        prepare(source, tmp_path, verbose=0)
    assert source.read == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_killed_process_goes_on_where_it_was(tmp_path):
    out, replace = tmp_path / "fast", os.replace

    def killed(moment):
        """The status of a process that dies before it reads a sample, or names what it wrote."""
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        def replace_or_die(unfinished, path):
            if os.path.basename(path) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(unfinished, path)

        try:
            os.replace, MortalRooms.fatal = replace_or_die, moment
            prepare(MortalRooms(100, (4, 6)), out, verbose=0)
        finally:
            os._exit(0)  # without pytest's report

    for moment in ("prepared.json", 20, 40, 35, 70, "train"):
        assert killed(moment) == -signal.SIGKILL, moment
        assert prepared_splits(out) == []
    prepare(MortalRooms(100, (4, 6)), out, verbose=0)
    names = {file.stem for file in (out / "train").iterdir()}
    assert names == {"prepared", "image", "segmentation", "depth", "normal", "present"}
    prepared = Prepared(out)
    for index in range(0, 100, 7):
        expected = Rooms(100, (4, 6))[index]
        np.testing.assert_array_equal(prepared[index]["depth"], expected["depth"])
        np.testing.assert_allclose(prepared[index]["image"], expected["image"], atol=0.002)


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "mine" / "photos").mkdir(parents=True)
    with pytest.raises(FileExistsError, match=r"mine', which holds 'photos'"):
        prepare(Scenes(), tmp_path / "mine", verbose=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="a file"):
        prepare(Scenes(), tmp_path / "file", verbose=0)
    prepare(Scenes(2), tmp_path / "fast", verbose=0)
    with pytest.raises(FileExistsError, match=r"'samples' was 2. Received: 3"):
        prepare(Scenes(3), tmp_path / "fast", verbose=0)
    prepare(Scenes(3, "val"), tmp_path / "fast", verbose=0)
    assert prepared_splits(tmp_path / "fast") == ["train", "val"]


def test_only_one_process_writes(tmp_path):
    (tmp_path / ".DS_Store").touch()
    with only_one(tmp_path / ".train.lock"), pytest.raises(FileExistsError, match="Another proc"):
        prepare(Scenes(), tmp_path, verbose=0)
    (prepared,) = prepare(Scenes(), tmp_path, verbose=0)
    assert_reads_back(prepared, Scenes())


def test_what_cannot_be_prepared_is_refused(tmp_path):
    source = Scenes()
    source.image_size = None
    with pytest.raises(ValueError, match="image_size=None"):
        prepare(source, tmp_path / "fast", verbose=0)
    with pytest.raises(ValueError, match=r"split of its own.*\['train', 'train'\]"):
        prepare([Scenes(), Scenes()], tmp_path / "fast", verbose=0)
    for key in ("present", "Depth"):
        source = Scenes()
        source.tasks[key] = {"kind": "depth"}
        with pytest.raises(ValueError, match=f"file of its own.*'{key}'"):
            prepare(source, tmp_path / "fast", verbose=0)
    source = Scenes()
    source.tasks["segmentation"]["num_classes"] = 5
    with pytest.raises(ValueError, match=r"'segmentation' must be in.*sample 0 of 'Scenes'"):
        prepare(source, tmp_path / "fast", verbose=0)
    assert not (tmp_path / "fast" / "train").exists()


def test_damaged_files_are_named(tmp_path):
    prepare(Scenes(num_classes=13), tmp_path, verbose=0)
    folder = tmp_path / "train"
    labels = (folder / "segmentation.npy").read_bytes()
    (folder / "segmentation.npy").write_bytes(labels[:-1] + b"\x7f")
    with pytest.raises(
        ValueError, match=r"Sample 9 .*'segmentation' must be in \[-1, 12.*segmentation\.npy"
    ):
        Prepared(tmp_path)[9]
    for content in (b"", labels[:100], labels[:-1], b"PK" + labels[2:]):
        (folder / "segmentation.npy").write_bytes(content)
        with pytest.raises(ValueError, match=r"'segmentation' .*segmentation\.npy"):
            Prepared(tmp_path)
    np.save(folder / "segmentation.npy", np.zeros((10, *SIZE), "int64"))
    with pytest.raises(ValueError, match=r"int8 of shape.*segmentation\.npy', int64"):
        Prepared(tmp_path)
    description = json.loads((folder / "prepared.json").read_text())
    for text in ("{", "[]", json.dumps({**description, "format": 99}), "{}"):
        (folder / "prepared.json").write_text(text)
        with pytest.raises(ValueError, match=r"prepared\.json"):
            Prepared(tmp_path)
