"""What is JTRL's own; the rest is in the contract of all networks."""

import json

import keras
import numpy as np
import pytest

from keras_atinet import JTRL, SemanticSegmentation

# Whole networks; on all backends with KERAS_ATINET_TEST_ALL=1.
pytestmark = pytest.mark.one_backend
FILTERS = (2, 3, 4, 5, 6)
SHAPE = (20, 28, 3)
TASKS = ["segmentation", "depth", "normal"]


def make(tasks=TASKS, shape=SHAPE, **options):
    """On an encoder of three strides, of which 4 and 8 are used: no size is half of another."""
    image = x = keras.Input((32, 32, 3))
    for stride in (2, 4, 8):
        x = keras.layers.Conv2D(4, 3, 2, "same", activation="relu", name=f"stride_{stride}")(x)
    encoder = {"encoder": keras.Model(image, x), "preprocessing": "unit"}
    return JTRL(tasks, shape, FILTERS, **{**encoder, **options})


@pytest.fixture
def predict(apply):
    return lambda model, x: apply(lambda x: model(x, training=False), x)


def images(shape=SHAPE):
    return np.random.default_rng(0).random((2, *shape), "float32")


def test_a_task_learns_from_those_before_it(predict, randomize):
    """At its scale, from the finer one on from all; after a round trip in the same order."""
    for order in (TASKS, TASKS[::-1]):
        config = json.loads(json.dumps(make(order).get_config()))
        model = randomize(JTRL.from_config(config))
        assert [task.name for task in model.tasks] == order
        (coarse,) = zip(*(model.auxiliary[name] for name in order), strict=True)
        scales = keras.Model(model.inputs, [*coarse, *(model.output[name] for name in order)])

        def changed(layer, model=model, scales=scales):
            before = predict(scales, images())
            kernel = model.get_layer(layer).conv.kernel
            kernel.assign(kernel + 1)
            pairs = zip(before, predict(scales, images()), strict=True)
            return [not np.array_equal(one, other) for one, other in pairs]

        second = order[1]
        assert changed(f"{second}_stride_4_state") == [False] * 4 + [True] * 2
        assert changed(f"{second}_stride_8_state") == [False] + [True] * 5


def test_scales_of_many_tasks():
    tasks = TASKS + [SemanticSegmentation(2, name=name) for name in ("edge", "salient")]
    with keras.StatelessScope():
        model = JTRL(tasks, (32, 64, 3), FILTERS)
        every = JTRL(tasks[:2], (32, 64, 3), FILTERS, finest_stride=1)
    assert [x.shape[1:3] for x in model.features] == [(8, 16), (4, 8), (2, 4), (1, 2)]
    assert len(every.features) == 6
    assert {name: len(x) for name, x in every.auxiliary.items()} == {"segmentation": 5, "depth": 5}
    for task in model.tasks:
        shape = (None, 32, 64, task.channels)
        assert [x.shape for x in model.auxiliary[task.name]] == [shape] * 3
    modules = [layer for layer in model.layers if layer.name.endswith("_attention")]
    assert len(modules) == 3 * 5


def test_auxiliary_tasks_take_their_turns_first_under_mixed_precision(tmp_path):
    model = make("depth", auxiliary_tasks={"segmentation": 2}, dtype="mixed_bfloat16")
    model.compile(keras.optimizers.Adam(0.01), metrics={})
    before = [keras.ops.convert_to_numpy(w).copy() for w in model.trainable_weights]
    depth = np.random.default_rng(1).uniform(1, 5, (2, *SHAPE[:2], 1)).astype("float32")
    targets = {"depth": depth, "segmentation": (depth[..., 0] > 3).astype("int32")}
    logs = model.train_on_batch(images(), targets, return_dict=True)
    assert np.isfinite(logs["segmentation_auxiliary_loss"])
    pairs = zip(model.trainable_weights, before, strict=True)
    still = {w.path for w, old in pairs if (keras.ops.convert_to_numpy(w) == old).all()}
    # The bias of a convolution cancels in the BatchNorm behind it.
    assert all(path.endswith("conv/bias") for path in still), still

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert {name: len(x) for name, x in loaded.auxiliary.items()} == {"segmentation": 2, "depth": 1}
    # Its finest state is there for the sake of the tasks that are predicted.
    assert any("segmentation_stride_4_state" in layer.name for layer in loaded.layers)
    expected, outputs = (m.predict(images(), verbose=0) for m in (model, loaded))
    assert list(outputs) == ["depth"] and outputs["depth"].dtype == "float32"
    np.testing.assert_array_equal(outputs["depth"], expected["depth"])


def test_other_sizes_for_inference(predict, randomize):
    model, shape = randomize(make()), (36, 20, 3)
    other = make(shape=shape)
    other.set_weights(model.get_weights())
    expected = predict(other, images(shape))
    for size in (shape, (None, None, 3)):
        for name, output in predict(model.for_inference(size), images(shape)).items():
            assert np.abs(output - expected[name]).mean() < 1e-5, name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": "depth"}, r"at least two tasks.*\['depth'\].*use `SingleTask`"),
        ({"auxiliary_tasks": "depth"}, "in both"),
        ({"finest_stride": 8}, "`finest_stride` of `JTRL`.*finest_stride=8. Use e.g. 4"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
