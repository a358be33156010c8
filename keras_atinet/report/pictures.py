"""Pictures of samples: truth beside prediction, and attention masks."""

import keras
import numpy as np
from keras import ops

from keras_atinet import runs
from keras_atinet.data import Part
from keras_atinet.layers import AttentionMask
from keras_atinet.report import page
from keras_atinet.visualization import drawn_classes, prediction_cells


class Gallery:
    """Draws samples of a source with what a model predicts for them.

    Args:
        model: `MultiTaskModel`.
        source: `data.Source`.
    """

    def __init__(self, model, source):
        self.model, self.source = model, source
        self._drawn = {task.name: [] for task in model.tasks}

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
        layers = [layer for layer in self.model.layers if isinstance(layer, AttentionMask)]
        if not layers:
            return ""
        images, _ = self.read(index)
        reader = keras.Model(
            {"image": self.model.input}, {layer.name: layer.output for layer in layers}
        )
        found = reader.predict_on_batch({"image": images})
        rows = [page.pictures([_photograph(images[0])])]
        for task in self.model.tasks:
            # The names are TASK_PART_LEVEL_mask.
            own = [name for name in found if name.rsplit("_", 3)[0] == task.name]
            cells = [_mask_cell(name, task, found[name]) for name in sorted(own, key=_order)]
            rows.append(page.pictures(cells, task.name, narrow=True))
        return "".join(rows)


def _photograph(image):
    return np.round(255 * image).astype("uint8"), "image"


def _cell(title, picture, note, shown=None):
    # What is not shown is transparent, and hatched in the page.
    shown = np.ones(picture.shape[:2], bool) if shown is None else shown
    alpha = np.where(shown, 255, 0).astype("uint8")
    return np.dstack([picture, alpha]), " ".join([title, note]).strip()


def _order(name):
    # Down the encoder, then up the decoder.
    part, level = name.split("_")[-3:-1]
    return (0, int(level)) if part == "encoder" else (1, -int(level))


def _mask_cell(name, task, mask):
    mean = np.asarray(ops.convert_to_numpy(mask), "float32")[0].mean(axis=-1)
    low, high = float(mean.min()), float(mean.max())
    gray = np.round(255 * (mean - low) / max(high - low, 1e-6)).astype("uint8")
    picture = np.dstack([gray, gray, gray, np.full_like(gray, 255)])
    title = name.removeprefix(f"{task.name}_").removesuffix("_mask").replace("_", " ")
    return picture, f"{title}: {low:.2f} to {high:.2f}"
