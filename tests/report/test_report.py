import base64
import io
import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_atinet import DepthEstimation, SemanticSegmentation
from keras_atinet.data import Rooms, Subset, hold_out
from keras_atinet.layers import AttentionMask
from keras_atinet.report import charts, page, run_page
from keras_atinet.report.pictures import Gallery
from keras_atinet.report.samples import ranked, score_samples
from keras_atinet.visualization import drawn_classes, sample_grid

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


class Model:
    """Predicts class 1 and depth 2 everywhere."""

    tasks = [SemanticSegmentation(3, averaging="batch"), DepthEstimation()]

    def predict_on_batch(self, images):
        logits = np.broadcast_to(np.float32([0, 5, 0]), (*images.shape[:3], 3))
        return {"segmentation": logits, "depth": np.full((*images.shape[:3], 1), 2, "float32")}


class Samples:
    """Two batches; the last sample has no truth, the first lacks some depth."""

    labels = np.array([0, 1, 1, -1])
    depth = np.array([2.0, 2.5, 4.0, 0.0])

    def as_numpy_iterator(self):
        for part in (slice(0, 2), slice(2, 4)):
            labels = np.tile(self.labels[part, None, None], (1, 2, 2)).astype("int32")
            depth = np.tile(self.depth[part, None, None, None], (1, 2, 2, 1)).astype("float32")
            if part.start == 0:
                depth[0, 0] = 0
            yield np.zeros((2, 2, 2, 3), "float32"), {"segmentation": labels, "depth": depth}


@pytest.mark.one_backend
def test_samples_are_looked_at_one_by_one():
    found = score_samples(Model(), Samples())
    np.testing.assert_array_equal(
        found.classes.confusion["segmentation"], [[0, 4, 0], [0, 8, 0], [0] * 3]
    )
    np.testing.assert_allclose(found.losses["depth"], [0, 0.5, 2, np.nan])
    assert np.isnan(found.losses["segmentation"][3])
    # The mean over the batches, as the task says: of half of eight pixels, and all of four.
    assert found.results["segmentation"]["pixel_accuracy"] == 0.75
    assert found.results["depth"]["abs_error"] == pytest.approx((0 * 2 + 0.5 * 4 + 2 * 4) / 10)
    # Sample 0 has the wrong class and the right depth, sample 2 the other way round.
    assert ranked({"depth": found.losses["depth"]}) == [0, 1, 2]
    assert ranked({"segmentation": found.losses["segmentation"]})[-1] == 0


def test_masks_are_shown_with_their_own_task():
    """Although the name of one task begins with that of the other."""
    image = keras.Input((4, 4, 3), name="image")
    names = ["depth_encoder_1_mask", "depth_far_encoder_1_mask", "depth_far_decoder_1_mask"]
    model = keras.Model(image, [AttentionMask(2, name=name)(image) for name in names])
    model.tasks = [DepthEstimation(), DepthEstimation(name="depth_far")]
    gallery = Gallery(model, None)
    gallery.read = lambda index: (np.zeros((1, 4, 4, 3), "float32"), {})
    shown = re.findall(r'>(depth\w*)</p>|alt="(\w+ 1):', gallery.masks(0))
    expected = ["depth", "encoder 1", "depth_far", "encoder 1", "decoder 1"]
    assert ["".join(pair) for pair in shown] == expected


def test_ranks_do_not_depend_on_units():
    losses = {"a": np.array([1.0, 2.0, 3.0, np.nan]), "b": np.array([300.0, 100.0, np.nan, np.nan])}
    assert ranked(losses) == [1, 0, 2]
    assert ranked({"a": losses["a"], "b": 1000 * losses["b"]}) == [1, 0, 2]


def test_text_is_escaped_and_pictures_are_in_the_page():
    text = page.document("<b>", page.table(["a & b"], [["<i>"]], muted=[0]))
    assert "<b>" not in text and "&lt;i&gt;" in text and "a &amp; b" in text
    missing = np.zeros((2, 3, 4), "uint8")
    missing[0, 0] = 255
    (data,) = re.findall(r'base64,([^"]+)"', page.pictures([(missing, "depth")]))
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(pixels, missing)


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=y>', "../../etc", "$\\frac{$", "a&b"]


@pytest.mark.backend_free
def test_names_of_classes_are_text_everywhere():
    """They are free: `dataset.json` states them."""
    task = SemanticSegmentation(5, class_names=HOSTILE)
    figure = charts.confusion_chart(np.eye(5, dtype=int), task.class_names)
    parts = [
        page.legend(drawn_classes(task, [np.arange(5)])),
        page.table(["", *HOSTILE], [HOSTILE]),
        page.facts(zip(HOSTILE, HOSTILE, strict=True)),
        page.pictures([(np.zeros((2, 2, 3), "uint8"), HOSTILE[0])], note=HOSTILE[1]),
        page.chart(figure, f"confusion matrix of {HOSTILE[1]}"),
        *(page.paragraph(name) + page.heading(name) for name in HOSTILE),
    ]
    text = page.document(HOSTILE[0], "".join(parts))
    assert "<script" not in text and "<img src=x" not in text and "&amp;b" in text
    # Nor are they mathematics for matplotlib, which raises an error then.
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert [label.replace(r"\$", "$") for label in labels] == HOSTILE
    grid = sample_grid(
        [{"image": np.zeros((5, 1, 3)), "segmentation": np.arange(5)[:, None]}], [task]
    )
    grid.savefig(io.BytesIO(), format="svg")


def test_curves_mark_the_second_phase():
    series = [("training", [3.0, 2.0, float("nan"), 1.0], True, 0)]
    (axes,) = charts.line_chart("loss", series, switch=2).axes
    assert [line.get_xdata()[0] for line in axes.lines] == [1, 2.5]
    assert len(charts.line_chart("loss", series).axes[0].lines) == 1


def test_rows_of_the_confusion_matrix_are_shares():
    figure = charts.confusion_chart(np.array([[3, 1], [0, 0]]), ["wall", "floor"])
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["wall", "floor (none)"]


def test_samples_are_numbered_as_in_their_split():
    _, held_out = hold_out(Rooms(20), 0.1)
    found = SimpleNamespace(losses={"depth": np.array([0.25])})
    note = run_page._note(Subset(held_out, 1), found, 0)
    assert note == f"sample {held_out.indices[0]}; losses: depth 0.250" and held_out.indices[0] > 0
