import pytest

from keras_atinet.data import Rooms, Selection, hold_out


@pytest.mark.parametrize("size, blocks", [(100, 10), (795, 10), (5, 10), (7, 3)])
def test_each_sample_is_on_one_side(size, blocks):
    train, held = hold_out(Rooms(size, (32, 32)), 0.2, blocks)
    indices = [train._indices, held._indices]
    assert sorted(indices[0] + indices[1]) == list(range(size))
    assert len(held) == pytest.approx(0.2 * size, abs=1 + blocks / 2)
    assert indices == [sorted(part) for part in indices]


def test_neighbours_stay_together():
    _, held = hold_out(Rooms(100, (32, 32)), 0.2, 10)
    assert held._indices[:4] == [8, 9, 18, 19] and len(held) == 20


def test_a_selection_is_a_source():
    rooms = Rooms(6, (32, 64))
    selection = Selection(rooms, [4, 1])
    assert selection.tasks == rooms.tasks and selection.image_size == (32, 64)
    assert (selection[1]["image"] == rooms[1]["image"]).all()
    assert (selection[-2]["image"] == rooms[4]["image"]).all()
    assert selection.where(0) == rooms.where(4)
    assert len(list(selection)) == 2


@pytest.mark.parametrize("size, share", [(0, 0.2), (1, 0.2), (4, 0.0), (4, 1.0)])
def test_both_sides_need_samples(size, share):
    with pytest.raises(ValueError, match=rf"Received: {size} samples, share={share}"):
        hold_out(Selection(Rooms(8, (32, 32)), range(size)), share)
