"""Pictures of samples: truth beside prediction, and attention masks."""

import numpy as np
from keras import ops

from keras_atinet import runs
from keras_atinet.data import Part
from keras_atinet.report import page
from keras_atinet.visualization import AttentionMasks, drawn_classes, prediction_cells


class Gallery:
    """Draws samples of a source with what a model predicts for them.

    Args:
        model: `MultiTaskModel`.
        source: `data.Source`.
    """

    def __init__(self, model, source):
        self.model, self.source = model, source
        self._drawn = {task.name: [] for task in model.tasks}
        self._masks = AttentionMasks(model)

    def read(self, index):
        """Image and targets of one sample, as a batch of one."""
        batches = runs.get_batches(
            Part(self.source, [index]), self.model.tasks, self.model.input_shape[1:3], 1
        )
        return next(batches.as_numpy_iterator())

    def predictions(self, index, note=""):
        """HTML of one sample: the image, and per task the truth and the prediction."""
        images, targets = self.read(index)
        outputs = self.model.predict_on_batch(images)
        tasks = self.model.tasks
        found = prediction_cells(images, targets, outputs, tasks, 0)
        cells = [_photograph(images[0])]
        # After the image come, for each task, truth and prediction.
        for task, truth, predicted in zip(tasks, found[1::2], found[2::2], strict=True):
            _, mask = task.prepare(ops.convert_to_tensor(targets[task.name]))
            cells += [_cell(*truth, ops.convert_to_numpy(mask)[0]), _cell(*predicted)]
            prediction = task.decode(ops.convert_to_numpy(outputs[task.name])[0])
            self._drawn[task.name] += [targets[task.name][0], prediction]
        return page.pictures(cells, note)

    def legend(self):
        """HTML of the classes that were drawn so far, and of what is missing."""
        entries = [
            entry
            for task in self.model.tasks
            for entry in drawn_classes(task, self._drawn[task.name])
        ]
        return page.legend(entries)

    def masks(self, index):
        """HTML of the attention masks of one sample, averaged over the channels, or ""."""
        if not self._masks:
            return ""
        images, _ = self.read(index)
        return page.pictures([_photograph(images[0])]) + mask_rows(self._masks(images))


def mask_rows(drawn):
    """HTML of attention masks, a row for each task.

    Args:
        drawn: dict, as from `AttentionMasks`.
    """
    rows = []
    for name, cells in drawn.items():
        # With the alpha channel they are PNG, and so exact.
        cells = [(np.dstack([gray] * 3 + [np.full_like(gray, 255)]), text) for gray, text in cells]
        rows.append(page.pictures(cells, name, narrow=True))
    return "".join(rows)


def _photograph(image):
    return np.round(255 * image).astype("uint8"), "image"


def _cell(title, picture, note, shown=None):
    # What is not shown is transparent, and hatched in the page.
    shown = np.ones(picture.shape[:2], bool) if shown is None else shown
    alpha = np.where(shown, 255, 0).astype("uint8")
    return np.dstack([picture, alpha]), " ".join([title, note]).strip()
