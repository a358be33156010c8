import pytest

from keras_atinet.cli import sources

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train", "val", "test"], ["train", "test"]),
        (["train", "test", "other"], ["train", "test"]),
        (["train", "val"], ["train", "val"]),
    ],
)
def test_a_study_is_scored_on_the_test_split(names, expected, monkeypatch):
    monkeypatch.setattr(sources, "splits", lambda source: names)
    assert sources.two_splits("camvid") == expected


def test_a_study_needs_two_splits(monkeypatch):
    monkeypatch.setattr(sources, "splits", lambda source: ["train"])
    with pytest.raises(ValueError, match=r"one to test on.*'camvid' with \['train'\]"):
        sources.two_splits("camvid")
