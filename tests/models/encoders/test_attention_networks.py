"""The contract of networks with attention and distillation on an encoder other than SegNet."""

import json

import keras
import numpy as np
import pytest

from keras_atinet import MTAN, ATINet, MTINet, PADNet
from keras_atinet.balancing import PCGrad

# Whole networks; on all backends with KERAS_ATINET_TEST_ALL=1.
pytestmark = pytest.mark.one_backend
FILTERS = (2, 3, 4, 5, 6)
# Levels of 10 x 14, 5 x 7 and 3 x 4 pixels: no size is half of the one before.
SHAPE = (20, 28, 3)
TASKS = {"segmentation": 5, "depth": 1, "normal": 3}
NETWORKS = [ATINet, MTAN, PADNet, MTINet]


def make(network, count=2, shape=SHAPE, **options):
    """A network on strides 2, 4 and 8, of which the last two have one feature each."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="a")(image)
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="b")(x)
    x = keras.layers.ReLU(name="c")(keras.layers.BatchNormalization()(x))
    for name in "de":
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name=name)(x)
    options = {
        "encoder": keras.Model(image, x),
        "encoder_features": {2: ("a", "c"), 4: "d", 8: "e"},
        "preprocessing": "tf",
        **options,
    }
    model = network(dict(list(TASKS.items())[:count]), shape, FILTERS, **options)
    if network is ATINet:
        model.distillation_active = True
    return model


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    images = random.random((2, *SHAPE), "float32")
    depth = random.uniform(1, 5, (2, *SHAPE[:2], 1)).astype("float32")
    return images, {"segmentation": random.integers(0, 5, (2, *SHAPE[:2])), "depth": depth}


@pytest.fixture
def predict(apply):
    return lambda model, x: apply(lambda x: model(x, training=False), x)


def step(model, data, **arguments):
    """Which weights a step has changed, as a dict of their paths."""
    arguments = {"optimizer": keras.optimizers.Adam(1e-2), "metrics": {}, **arguments}
    model.compile(run_eagerly=keras.backend.backend() == "tensorflow", **arguments)
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
    model.train_on_batch(*data)
    pairs = zip(model.variables, before, strict=True)
    return {v.path: not np.array_equal(keras.ops.convert_to_numpy(v), old) for v, old in pairs}


@pytest.mark.parametrize("network", NETWORKS)
def test_network(network, data, predict, tmp_path):
    model = make(network)
    changed = step(model, data)
    still = {v.path for v in model.trainable_variables if not changed[v.path]}
    # The bias of a convolution cancels in the BatchNorm behind it.
    assert all(path.endswith("conv/bias") for path in still), still
    assert any(changed[v.path] for v in model.encoder.variables if "moving" in v.path)

    expected = predict(model, data[0])
    assert {name: output.shape for name, output in expected.items()} == {
        "segmentation": (2, 20, 28, 5),
        "depth": (2, 20, 28, 1),
    }
    for name, output in predict(model.for_inference(), data[0]).items():
        assert np.abs(output - expected[name]).mean() < 1e-5
    config = json.dumps(model.get_config())
    assert json.dumps(network.from_config(json.loads(config)).get_config()) == config
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for name, output in predict(loaded, data[0]).items():
        np.testing.assert_array_equal(output, expected[name])


@pytest.mark.parametrize(("network", "count"), [(ATINet, 1), (PADNet, 1), (ATINet, 3)])
def test_any_number_of_tasks(network, count):
    model = make(network, count)
    assert {name: x.shape[1:] for name, x in model.output.items()} == {
        name: (20, 28, channels) for name, channels in list(TASKS.items())[:count]
    }


@pytest.mark.parametrize("network", [ATINet, MTAN])
def test_modules_of_the_attention(network):
    model = make(network, 1)
    names = {layer.name for layer in model.layers}
    for level, finer in (("stride_2", True), ("stride_4", True), ("stride_8", False)):
        encoder = {f"segmentation_encoder_{level}_mask", f"attention_encoder_{level}"}
        decoder = {f"segmentation_decoder_{level}_mask", f"attention_decoder_{level}"}
        assert encoder < names and (decoder < names) == finer
        # The deepest level is where the task's features turn: they are not pooled.
        assert (f"segmentation_encoder_{level}_pool" in names) == finer
    if network is ATINet:
        # Five masks, five blocks that tasks share.
        assert len(model.module_layers("attention")) == 10
        assert set(model.optimizer_groups()) == {"encoder", "attention", "heads", "distillation"}


@pytest.mark.parametrize(
    ("network", "over"),
    [
        (ATINet, "bottleneck"),
        (MTAN, None),
        (MTAN, "shared_weights"),
        (PADNet, "bottleneck"),
    ],
)
def test_activations_computed_again_and_gradients_of_tasks(network, over, data):
    """Neither changes what a step of SGD does: PCGrad of one task's gradient is that gradient."""
    targets = {**data[1], "depth": 0 * data[1]["depth"]}  # no valid pixel of depth
    trained = []
    for remat, balancer in ((None, "equal"), ("attention", PCGrad(over=over) if over else "equal")):
        options = {} if network is PADNet else {"remat": remat}
        model = make(network, **options)
        step(model, (data[0], targets), optimizer=keras.optimizers.SGD(0.1), balancer=balancer)
        trained.append([w for layer in model.layers for w in layer.get_weights()])
    for one, other in zip(*trained, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_distillation_stride():
    widths = {None: (5, 7), 1: (10, 14), 2: (10, 14), 3: (5, 7), 4: (5, 7)}
    for stride, size in widths.items():
        model = make(PADNet, distillation_stride=stride)
        assert model.features[0].shape[1:3] == size
        assert model.get_config()["distillation_stride"] == stride


@pytest.mark.parametrize("stride", [0, 8, 4.0, True])
def test_bad_distillation_stride(stride):
    with pytest.raises(ValueError, match=r"strides are \[2, 4, 8\].*distillation_stride=.*e.g. 4"):
        make(PADNet, distillation_stride=stride)
    with pytest.raises(ValueError, match="tasks of a SegNet distil at full resolution"):
        PADNet("depth", (32, 32, 3), FILTERS, distillation_stride=stride)


def test_an_image_too_small():
    with pytest.raises(ValueError, match=r"1 x 4 at stride 4. Use images of more than 4 x 4"):
        make(MTAN, shape=(4, 16, 3))
