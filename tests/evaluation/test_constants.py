import numpy as np
import pytest

from keras_atinet import evaluation, runs
from keras_atinet.data import Rooms


# Their metrics are tested on each.
@pytest.mark.one_backend
def test_the_constants_fit_the_samples():
    source = Rooms(3, (40, 48))
    tasks = runs.get_tasks(source)
    batches = runs.get_batches(source, tasks, (40, 48), 2)
    constants = evaluation.best_constants(tasks, batches)
    depth = np.concatenate([sample["depth"].ravel() for sample in source])
    assert constants["depth"] == pytest.approx(np.median(depth), rel=0.05)
    results = evaluation.evaluate_constants(tasks, constants, batches)
    expected = np.mean(np.abs(depth - constants["depth"]))
    assert results["depth"]["abs_error"] == pytest.approx(expected, rel=1e-4)
    labels = np.concatenate([sample["segmentation"].ravel() for sample in source])
    share = np.mean(labels == constants["segmentation"].argmax())
    assert results["segmentation"]["pixel_accuracy"] == pytest.approx(share, rel=1e-4)


def test_a_task_without_any_label_has_no_constant():
    class Unlabelled(Rooms):
        def __getitem__(self, index):
            return {"image": super().__getitem__(index)["image"]}

    tasks = runs.get_tasks(Rooms())
    batches = runs.get_batches(Unlabelled(2, (32, 32)), tasks, (32, 32), 2)
    assert evaluation.best_constants(tasks, batches) == {}
    assert evaluation.evaluate_constants(tasks, {}, batches) == {}
