"""Networks of an encoder and a decoder per task, with units between them."""

import keras
import numpy as np
import pytest

from keras_atinet import NDDRCNN, CrossStitch, DepthEstimation, SingleTask
from keras_atinet.balancing import PCGrad
from keras_atinet.layers import CrossStitchUnit, NDDRUnit

# Whole networks; on all backends with KERAS_ATINET_TEST_ALL=1.
pytestmark = pytest.mark.one_backend
FILTERS = (2, 3, 4, 5, 6)
CHANNELS = {"segmentation": 5, "depth": 1, "normal": 3}
SEGNET, ON_ENCODER = (32, 64, 3), (20, 28, 3)


def tasks(count):
    return dict(list(CHANNELS.items())[:count])


def images(shape=SEGNET):
    return np.random.default_rng(1).random((2, *shape), "float32")


def small_encoder(skip=False):
    """Strides 2, 4 and 8; with `skip` the last level reads the first one too."""
    image = keras.Input((32, 32, 3))
    x, features = image, []
    for name in "abc":
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU(name=name)(keras.layers.BatchNormalization()(x))
        features.append(x)
    if skip:
        x = keras.layers.Add(name="sum")(
            [x, keras.layers.Conv2D(4, 1, strides=4, padding="same")(features[0])]
        )
    return keras.Model(image, x)


def make(network, count=2, on_encoder=False, **options):
    keras.utils.set_random_seed(0)
    if on_encoder:
        options = {"encoder": small_encoder(), "preprocessing": "tf", **options}
    return network(tasks(count), ON_ENCODER if on_encoder else SEGNET, FILTERS, **options)


def randomize(model):
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.uniform(0.2, 0.8, weight.shape).astype("float32"))
        if len(weight.shape) == 4:
            fan_in = np.prod(weight.shape[:3])
            weight.assign(random.normal(0, np.sqrt(2 / fan_in), weight.shape).astype("float32"))
    return model


def units(model):
    return [layer for layer in model.layers if isinstance(layer, (CrossStitchUnit, NDDRUnit))]


def arrays(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def make_identity(unit):
    """Lets a unit give a task its own features as they are."""
    if isinstance(unit, CrossStitchUnit):
        own = np.arange(unit.alpha.shape[0]) == unit.own
        unit.alpha.assign(np.broadcast_to(own[:, None], unit.alpha.shape).astype("float32"))
        return
    inputs, channels = unit.kernel.shape[2:]
    kernel = np.zeros((1, 1, inputs, channels), "float32")
    kernel[0, 0, unit.own * channels :][:channels] = np.eye(channels)
    unit.kernel.assign(kernel)
    values = {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1 - unit.norm.epsilon}
    for name, value in values.items():
        getattr(unit.norm, name).assign(np.full(channels, value, "float32"))


def branch(model, index):
    """A `SingleTask` with the weights of one task."""
    name, channels = list(CHANNELS.items())[index]
    options = {} if model.encoder is None else {"encoder": small_encoder(), "preprocessing": "tf"}
    single = SingleTask({name: channels}, model.input_shape[1:], FILTERS, **options)
    for layer in single.layers:
        if layer.name == "encoder":
            layer.set_weights(model.encoder.models[index].get_weights())
        elif layer.weights:
            source = layer.name if layer.name == name else f"{name}_{layer.name}"
            layer.set_weights(model.get_layer(source).get_weights())
    return single


@pytest.mark.parametrize(
    ("network", "count", "on_encoder"),
    [(CrossStitch, 2, False), (CrossStitch, 3, True), (NDDRCNN, 2, False)],
)
def test_with_identity_units_each_branch_is_a_single_task(network, count, on_encoder):
    model = randomize(make(network, count, on_encoder))
    x = images(model.input_shape[1:])
    mixed = model.predict(x, verbose=0)
    for unit in units(model):
        make_identity(unit)
    outputs = model.predict(x, verbose=0)
    for index, name in enumerate(tasks(count)):
        expected = branch(model, index).predict(x, verbose=0)[name]
        assert expected.std() > 1e-3
        np.testing.assert_allclose(outputs[name], expected, atol=1e-5)
        assert np.abs(mixed[name] - expected).max() > 1e-3
    # Each branch has a mixture of its own, which would be one for all if the units shared theirs.
    ends = [unit.output for unit in units(model)[-count:]]
    one, *_, other = keras.Model(model.input, ends).predict(x, verbose=0)
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("network", [CrossStitch, NDDRCNN])
def test_one_task_and_five(network):
    model = make(network, 1)
    expected = branch(model, 0).predict(images(), verbose=0)["segmentation"]
    np.testing.assert_array_equal(model.predict(images(), verbose=0)["segmentation"], expected)
    assert not units(model)

    names = [f"view_{index}" for index in range(5)]
    with keras.StatelessScope():
        model = network([DepthEstimation(name=name) for name in names], SEGNET, FILTERS)
    # One for each task after each of the five poolings.
    assert list(model.output) == names and len(units(model)) == 25
    weights = keras.Model(model.input, model.output["view_3"]).weights
    # Its own decoder and head, all encoders, and all units but the others' last ones.
    assert len({w.path.split("/")[0] for w in weights}) == 13 + 1 + 5 * 13 + 21


def step(model, **options):
    """What a step has changed: dict, path in the network and number -> bool."""
    height, width = model.input_shape[1:3]
    random = np.random.default_rng(0)
    depth = random.uniform(1, 5, (2, height, width, 1)).astype("float32")
    segmentation = random.integers(0, 5, (2, height, width))
    options = {"optimizer": keras.optimizers.Adam(1e-2), "metrics": {}, **options}
    model.compile(run_eagerly=keras.backend.backend() == "tensorflow", **options)
    before = arrays(model.variables)
    targets = {"segmentation": segmentation, "depth": depth}
    model.train_on_batch(images(model.input_shape[1:]), targets)
    pairs = zip(model.variables, before, arrays(model.variables), strict=True)
    return {id(v): not np.array_equal(old, new) for v, old, new in pairs}


@pytest.mark.parametrize(
    ("network", "options"),
    [
        (CrossStitch, {"decoder": "segformer", "per_channel": False}),
        (NDDRCNN, {"decoder": "aspp", "shortcut": True}),
    ],
)
def test_variants(network, options, tmp_path):
    """They train all weights, save and fold, and take another size."""
    model = make(network, on_encoder=True, **options)
    first, second = (arrays(part.weights) for part in model.encoder.models)
    assert all(map(np.array_equal, first, second))
    changed = step(model)
    still = [v.path for v in model.trainable_variables if not changed[id(v)]]
    # The bias of a convolution cancels in the BatchNorm behind it.
    assert all(path.endswith("conv/bias") for path in still), still

    x = images(model.input_shape[1:])
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    folded = loaded.for_inference()
    other = (64, 64, 3)
    assert model.for_inference(other).output["depth"].shape == (None, 64, 64, 1)
    for name, output in expected.items():
        np.testing.assert_array_equal(loaded.predict(x, verbose=0)[name], output)
        assert np.abs(folded.predict(x, verbose=0)[name] - output).mean() < 1e-5


def test_all_encoders_are_frozen_and_trained_together(tmp_path):
    model = make(CrossStitch, on_encoder=True, freeze_encoder=1, freeze_batch_norm=True)
    group = model.optimizer_groups()["encoder"]
    weights = [w for part in model.encoder.models for w in part.weights]
    assert {id(v) for v in group.variables} == {id(w) for w in weights}
    assert len(weights) == 2 * len(model.encoder.models[0].weights)
    changed = step(model, encoder_lr_multiplier=0.5)
    assert not any(changed[id(w)] for w in weights)
    model.frozen_encoder_epochs = 0
    changed = step(model)
    assert all(changed[id(w)] == w.path.endswith("kernel") for w in weights)

    model.encoder.trainable = False
    trainable = {id(v) for v in model.trainable_variables}
    assert trainable and not trainable & {id(w) for w in weights}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert not loaded.encoder.trainable_weights
    model = make(NDDRCNN, on_encoder=True, freeze_encoder=True)
    assert not model.encoder.trainable_weights and len(model.encoder.weights) == 30


def test_the_units_train_at_their_own_rate():
    """With SGD, steps are as long as the rates."""
    model = randomize(make(CrossStitch, on_encoder=True, units_lr_multiplier=4.0))
    start = model.get_weights()
    moved = {}
    for multipliers in ({"units": 1.0}, None, {"units": 2.0}):
        model.set_weights(start)
        before = arrays(model.trainable_variables)
        step(model, optimizer=keras.optimizers.SGD(0.01), learning_rate_multipliers=multipliers)
        pairs = zip(before, arrays(model.trainable_variables), strict=True)
        moved[str(multipliers)] = [after - old for old, after in pairs]
    plain, default, given = moved.values()
    units_variables = {id(v) for v in model.optimizer_groups()["units"].variables}
    assert len(units_variables) == len(units(model)) == 6
    for variable, one, four, two in zip(
        model.trainable_variables, plain, default, given, strict=True
    ):
        is_unit = id(variable) in units_variables
        assert not is_unit or np.abs(one).max() > 1e-5
        np.testing.assert_allclose(four, (4 if is_unit else 1) * one, rtol=1e-2, atol=1e-6)
        np.testing.assert_allclose(two, (2 if is_unit else 1) * one, rtol=1e-2, atol=1e-6)


def test_the_kernels_of_the_units_decay():
    """Whatever the optimizer decays, and by its rate, which may be multiplied."""
    model = make(NDDRCNN, units_weight_decay=0.5, units_lr_multiplier=2.0, shortcut=True)
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.25)
    model.compile(optimizer, metrics={})
    model.build_optimizer()
    before = arrays(model.trainable_variables)
    gradients = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    model.optimizer.apply(gradients, model.trainable_variables)
    units_variables = {id(v) for v in model.optimizer_groups()["units"].variables}
    counts = {}
    for variable, old in zip(model.trainable_variables, before, strict=True):
        share = 1 - 0.1 * 0.25
        if id(variable) in units_variables:
            share = 1 - 0.1 * 2 * 0.5 if len(variable.shape) == 4 else 1.0
        counts[share] = counts.get(share, 0) + 1
        np.testing.assert_allclose(*arrays([variable]), share * old, rtol=1e-5)
    # Of ten units and two shortcuts, kernels; scales and offsets, and the shortcuts' biases.
    assert counts[0.9] == 12 and counts[1.0] == 26


def test_where_gradients_are_balanced():
    """Over all weights that lead to several tasks; there are no features that all tasks share."""
    model = make(CrossStitch)
    with pytest.raises(ValueError, match="over='shared_weights'"):
        model.compile(balancer=PCGrad(over="bottleneck"))
    changed = step(model, balancer=PCGrad())
    assert all(changed[id(unit.alpha)] for unit in units(model))
    variables = model.trainable_variables
    for variable, users in zip(
        variables, model.network_split.tasks_by_variable(variables), strict=True
    ):
        layer = variable.path.split("/")[0]
        own = next(index for index, name in enumerate(tasks(2)) if layer.startswith(name))
        is_shared = "_encoder_" in layer or ("_unit_" in layer and not layer.endswith("5"))
        assert users == ([0, 1] if is_shared else [own]), layer


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"`CrossStitch` changes.*'sum' \(stride 8\).*'b' alone"):
        make(
            CrossStitch,
            on_encoder=True,
            encoder=small_encoder(skip=True),
            encoder_features={2: "a", 4: "b", 8: "sum"},
        )
    for options, message in (
        ({"units_lr_multiplier": 0}, "`units_lr_multiplier` of `NDDRCNN`"),
        ({"units_weight_decay": -0.1}, "`units_weight_decay` of `NDDRCNN`"),
        ({"decoder": "unet"}, "`decoder` of `NDDRCNN` is for networks with an `encoder`"),
    ):
        with pytest.raises(ValueError, match=message):
            make(NDDRCNN, **options)
