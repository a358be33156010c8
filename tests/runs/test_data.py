"""Which images a run learns from, chooses its best epoch on, and is scored on."""

import pytest

from keras_atinet import runs

pytestmark = pytest.mark.backend_free


@pytest.fixture
def sources(monkeypatch):
    """`sources(splits, hold_out)` of data with 20 images in every split."""
    monkeypatch.setattr(runs.data, "get_source", lambda settings, split: Images(split))
    return lambda splits, share: runs.get_sources({"splits": splits, "hold_out": share})


class Images(runs.data.Source):
    def __init__(self, split):
        self.split = split

    def __len__(self):
        return 20


def test_the_test_split_chooses_no_epoch_where_a_part_is_held_out(sources):
    found = sources(["train", "test"], 0.1)
    train, held_out = found.train.indices, found.validation.indices
    assert (len(train), len(held_out)) == (18, 2) and sorted(train + held_out) == list(range(20))
    assert found.test.split == "test" and len(found.test) == 20 and not found.is_chosen_on_test
    assert found.describe() == (
        "18 training images, 2 held out to choose the best epoch, 20 ('test') to score"
    )
    # The same ones whenever a run is resumed.
    assert sources(["train", "test"], 0.1).validation.indices == held_out


@pytest.mark.parametrize(
    ("splits", "share", "chosen", "tested"),
    [
        (["train", "val", "test"], 0, "split 'val'", "split 'test'"),
        (["train", "val"], 0, "split 'val'", "split 'val'"),
        (["train", "test"], 0.0, "split 'test'", "split 'test'"),  # the paper's way
        (["train"], 0.1, "held out of split 'train'", "held out of split 'train'"),
        ([None], 0.1, "held out of all images", "held out of all images"),
    ],
)
def test_the_splits_of_a_run(sources, splits, share, chosen, tested):
    found = sources(splits, share)
    assert (found.title(found.validation), found.title(found.test)) == (chosen, tested)
    assert found.is_chosen_on_test == (chosen == tested)
    assert found.describe().endswith("epoch and to score") == (chosen == tested)


def test_a_run_on_data_that_are_not_split_is_described(tmp_path):
    run = runs.Run(tmp_path)
    run.create({**runs.DEFAULT, "splits": [None]}, "keras-atinet train --data pictures")
    assert run.read_settings()["splits"] == [None]


@pytest.mark.parametrize(
    ("splits", "share"),
    [(["train"], 0), (["train", "val", "test"], 0.1), (["a", "b", "c", "d"], 0)],
)
def test_splits_that_leave_nothing_to_choose_on_are_refused(sources, splits, share):
    with pytest.raises(ValueError, match=r"Received: splits=.* or one or two and a share"):
        sources(splits, share)


def test_a_run_takes_the_splits_that_the_data_have():
    assert runs.choose_splits(["train", "val", "test"]) == ["train", "val", "test"]
    assert runs.choose_splits(["training", "test", "other"]) == ["training", "test"]
    assert runs.choose_splits(["train", "valid"]) == ["train", "valid"]
    assert runs.choose_splits([None]) == [None]
