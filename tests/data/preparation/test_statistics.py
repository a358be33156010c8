import numpy as np
import pytest

from keras_atinet.data.preparation.statistics import Statistics

pytestmark = pytest.mark.backend_free
SIZE = (4, 6)
TASKS = {
    "segmentation": {"num_classes": 4, "class_names": ["sky", "road", "car", "tree"]},
    "depth": {},
    "normal": {},
    "flow": {"channels": 2},
}


def lines(*samples):
    statistics = Statistics(TASKS)
    for sample in samples:
        statistics.add({"image": np.full((*SIZE, 3), [0.25, 0.5, 1], "float32"), **sample})
    return statistics.size(), statistics.lines()


def test_numbers_of_each_kind():
    labels = np.full(SIZE, 2, "int32")
    labels[0], labels[1, :3] = -1, 0  # 6 of 24 missing, 3 and 15 of 18 known
    depth = np.linspace(1, 3, 24, dtype="float32").reshape(*SIZE, 1)
    depth[3, 5] = 0
    normal = np.zeros((*SIZE, 3), "float32")
    normal[:2] = [0, 0, -1]
    flow = np.full((*SIZE, 2), -3, "float32")
    size, found = lines(
        {"segmentation": labels, "depth": depth, "normal": normal, "flow": flow},
        {"depth": 2 * depth},
    )
    known = np.linspace(1, 3, 24)[:23]
    median = f"{np.median(np.concatenate([known, 2 * known])):.2f}"
    assert size == "4 x 6 pixels"
    assert found == [
        "image           0.25 to 1.00, mean colour (0.25, 0.50, 1.00)",
        "segmentation    in 1 of 2, 75.0 % of the pixels known; 4 classes, "
        "shares of the known pixels:",
        "                car 83.3 %, sky 16.7 %",
        "                nowhere: road, tree",
        f"depth           95.8 % of the pixels known; 1.00 to 5.83 m, median about {median}",
        "normal          in 1 of 2, 50.0 % of the pixels known; mean direction (0.00, 0.00, -1.00)",
        "flow            in 1 of 2, 100.0 % of the pixels known; "
        "-3.00 to -3.00, median about -3.00",
    ]


def test_nothing_known():
    _, found = lines(
        {
            "segmentation": np.full(SIZE, -1, "int32"),
            "depth": np.zeros((*SIZE, 1), "float32"),
            "normal": np.zeros((*SIZE, 3), "float32"),
        }
    )
    assert "nowhere: sky, road, car, tree" in found[2]
    assert "0.0 % of the pixels known; no values" in found[3]
    assert found[-1] == "flow            no sample has it"
