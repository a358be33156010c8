"""What is MTI-Net's own; its contract is in `test_networks.py` and `test_attention_networks.py`."""

import keras
import numpy as np
import pytest

from keras_atinet import MTINet
from keras_atinet.balancing import PCGrad
from keras_atinet.layers import BilinearResizing

pytestmark = pytest.mark.one_backend
TASKS = {"segmentation": 5, "depth": 1}
# Levels of 10 x 14, 5 x 7 and 3 x 4 pixels: no size is half of the one before.
SHAPE = (20, 28, 3)


def make(**options):
    x = image = keras.Input((32, 32, 3))
    for name in "abc":
        x = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name=name)(x)
    encoder = {
        "encoder": keras.Model(image, x),
        "encoder_features": {2: "a", 4: "b", 8: "c"},
        "preprocessing": "unit",
    }
    options = {"distillation_stride": 2, "auxiliary_tasks": "normal", **options}
    return MTINet(TASKS, SHAPE, (4, 6, 8, 10, 12), **encoder, **options)


def images(shape=SHAPE):
    return np.random.default_rng(0).random((2, *shape), "float32")


def test_levels_widths_and_initial_predictions():
    with keras.StatelessScope():
        model = MTINet("depth")
    strides, widths = (4, 8, 16, 32), (32, 64, 128, 256)
    for x, stride, width in zip(model.features, strides, widths, strict=True):
        assert x.shape[1:3] == (288 // stride, 384 // stride)
        assert model.get_layer(f"depth_stride_{stride}_block_2").output.shape[-1] == width
    assert [x.shape[1:] for x in model.auxiliary["depth"]] == [(288, 384, 1)] * 4


def test_equations(randomize):
    """The graph again, in a few lines of its layers."""
    model = randomize(make())
    layer = {layer.name: layer for layer in [*model.layers, *model.auxiliary_layers]}
    outputs = {"final": model.output, "initial": model.auxiliary, "features": model.features}
    outputs = keras.Model(model.input, outputs)(images(), training=False)
    names = ["segmentation", "depth", "normal"]
    resize, join = BilinearResizing(), keras.layers.Concatenate()

    propagated, refined = None, {"segmentation": [], "depth": []}
    finest = outputs["features"][0]
    for index, stride in ((2, 8), (1, 4), (0, 2)):
        x, features = outputs["features"][index], []
        for k, name in enumerate(names):
            y = x if propagated is None else join([x, resize(propagated[k], x)])
            for block in (1, 2):
                y = layer[f"{name}_stride_{stride}_block_{block}"](y)
            features.append(y)
            initial = layer[f"{name}_stride_{stride}_auxiliary"](y, like=images())
            assert_equal(outputs["initial"][name][index], initial)
        if index:
            propagated = layer[f"propagation_stride_{stride}"](features)
        for name, y in zip(refined, layer[f"distillation_stride_{stride}"](features), strict=True):
            refined[name].insert(0, resize(y, finest))
    for name, levels in refined.items():
        aggregated = layer[f"{name}_aggregation"](join(levels))
        assert aggregated.shape[-1] == 2 + 3 + 4
        assert_equal(outputs["final"][name], layer[name](aggregated, like=images()))


def assert_equal(actual, expected):
    actual, expected = map(keras.ops.convert_to_numpy, (actual, expected))
    assert expected.std() > 1e-2  # or equality would say nothing
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_a_step_with_a_task_that_is_auxiliary(randomize):
    model = randomize(make(auxiliary_weight=0.5))
    balancer = PCGrad(over="bottleneck")
    model.compile(keras.optimizers.SGD(0.1), balancer, metrics={}, run_eagerly=True)
    random = np.random.default_rng(1)
    targets = {
        "segmentation": random.integers(0, 5, (2, *SHAPE[:2])),
        "depth": random.uniform(1, 5, (2, *SHAPE[:2], 1)).astype("float32"),
        "normal": random.normal(size=(2, *SHAPE)).astype("float32"),
    }
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.trainable_weights]
    logs = model.train_on_batch(images(), targets, return_dict=True)
    names = ["segmentation", "depth", "normal"]
    auxiliary = sum(logs[f"{name}_auxiliary_loss"] for name in names)
    final = logs["segmentation_loss"] + logs["depth_loss"]
    np.testing.assert_allclose(logs["loss"], final + 0.5 * auxiliary, rtol=1e-5)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        # The bias of a convolution cancels in the BatchNorm behind it.
        changes = not np.array_equal(keras.ops.convert_to_numpy(weight), old)
        assert changes or weight.path.endswith("conv/bias"), weight.path


def test_inference_at_any_size(randomize):
    model = randomize(make())
    folded = model.for_inference((None, None, 3))
    expected = model(images(), training=False)
    for name, output in folded(images()).items():
        assert_equal(output, expected[name])
    for name, output in folded(images((33, 18, 3))).items():
        assert tuple(output.shape) == (2, 33, 18, TASKS[name])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"distillation_stride": 8}, r"`MTINet` must be .* at least two .*e.g. 4"),
        ({"auxiliary_tasks": "depth"}, r"`auxiliary_tasks` of `MTINet`.*\['depth'\] in both"),
        ({"auxiliary_weight": -1}, "`auxiliary_weight` of `MTINet`"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
