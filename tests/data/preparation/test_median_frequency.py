import numpy as np
import pytest

from keras_atinet import runs
from keras_atinet.data import Rooms, Source, class_weights

pytestmark = pytest.mark.backend_free


class Labelled(Source):
    image_size = (2, 5)

    def __init__(self, labels, num_classes):
        self.labels = labels
        self.tasks = {"parts": {"kind": "segmentation", "num_classes": num_classes}, "depth": {}}

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = np.zeros((2, 5, 3), "float32")
        labels = self.labels[index]
        return {"image": image} if labels is None else {"image": image, "parts": labels}


def test_weights_are_those_of_median_frequency_balancing():
    first = np.array([[0, 0, 0, 0, 1], [1, -1, -1, -1, -1]], "int32")
    second = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 2]], "int32")
    source = Labelled([first, None, second], 4)
    # Class 0: 13 pixels of 16 around it; class 1: 2 of 6; class 2: 1 of 10; class 3 is nowhere.
    frequencies = np.array([13 / 16, 2 / 6, 1 / 10])
    np.testing.assert_allclose(
        class_weights(source, "parts"), [*(2 / 6 / frequencies), 1.0], rtol=1e-12
    )
    # Of the first sample alone; the largest weight is 10.
    assert class_weights(source, "parts", num_samples=1) == pytest.approx([0.75, 1.5, 1, 1])
    rare = np.zeros((40, 50), "int32")
    rare[0, 0] = 1
    assert class_weights(Labelled([rare], 2), "parts")[1] == 10.0


def test_what_has_no_weights():
    source = Labelled([None], 4)
    for key in ("depth", "segmentation"):
        with pytest.raises(ValueError, match=rf"Received: key='{key}'.*\['parts'\]"):
            class_weights(source, key)
    with pytest.raises(ValueError, match="1 samples in which no pixel of 'parts'"):
        class_weights(source, "parts")


def test_weights_of_a_training():
    rooms = Rooms(3, (32, 32))
    task, depth = runs.get_tasks(rooms, ["segmentation", "depth"], class_weights="balanced")
    assert task.class_weights == class_weights(rooms) and depth.name == "depth"
    with pytest.raises(ValueError, match=r"class_weights='balanced' for the tasks \['depth'\]"):
        runs.get_tasks(rooms, ["depth"], class_weights="balanced")
