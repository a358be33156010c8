"""Real steps of every balancer: whose gradient goes where, and the same on every backend.

Run as a program, on PyTorch, this file writes the steps that it compares on all backends.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from keras_atinet.balancing import BALANCERS, Fixed, GradientBalancer
from keras_atinet.layers import MaxPooling2DWithArgmax, MaxUnpooling2D
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.tasks import standardize_tasks

GOLDEN = Path(__file__).parents[1] / "golden" / "steps.npz"
NAMES = [name for name, kind in BALANCERS.items() if issubclass(kind, GradientBalancer)]
TASKS = {"segmentation": 5, "depth": 1, "normal": 3}
RATE = 0.1
# One that solves a small problem, one that draws an order, one that has state. All are stepped on
# all backends by `test_the_same_steps_on_every_backend`.
REPRESENTATIVE = ("cagrad", "pcgrad", "nashmtl")
one_backend = pytest.mark.one_backend


@keras.saving.register_keras_serializable(package="tests")
class Smooth(MultiTaskModel):
    """Without pooling and rectifiers it has no ties, so that rounding stays rounding."""

    def __init__(self, tasks, pooling=False, dtype=None, name=None):
        tasks = standardize_tasks(tasks)
        image = keras.Input((8, 8, 3))
        activation = "relu" if pooling else "tanh"
        x = layers.Conv2D(4, 3, padding="same", activation=activation)(image)
        if pooling:
            x, argmax = MaxPooling2DWithArgmax()(x)
        x = layers.Conv2D(4, 3, padding="same", activation=activation)(x)
        if pooling:
            x = MaxUnpooling2D()(x, argmax)
        outputs = prediction_heads({task.name: x for task in tasks}, tasks, (4,), dtype=dtype)
        config = {"pooling": pooling}
        super().__init__(image, outputs, tasks, config, [x], dtype=dtype, name=name)


def make_balancer(name, **kwargs):
    seed = {"seed": 0} if "seed" in BALANCERS[name]().get_config() else {}
    return BALANCERS[name](**seed, **kwargs)


def smooth(balancer, num_tasks=3, pooling=False, **kwargs):
    """The network with the same weights whatever the backend; eager, for speed."""
    model = Smooth(dict(list(TASKS.items())[:num_tasks]), pooling)
    random = np.random.RandomState(0)
    model.set_weights([random.normal(size=w.shape, scale=0.3) for w in model.get_weights()])
    arguments = {"run_eagerly": True, "metrics": {}, **kwargs}
    model.compile(keras.optimizers.SGD(RATE), balancer=balancer, **arguments)
    return model


def make_batch():
    random = np.random.RandomState(1)
    return random.uniform(size=(2, 8, 8, 3)).astype("float32"), {
        "segmentation": random.randint(-1, 5, (2, 8, 8)).astype("int32"),
        "depth": random.uniform(-1, 5, (2, 8, 8, 1)).astype("float32"),
        "normal": random.normal(size=(2, 8, 8, 3)).astype("float32"),
    }


def take_steps(model, steps=1):
    """The logs of the last step; what became of the shared weights, and of those of the heads."""
    images, targets = make_batch()
    targets = {task.name: targets[task.name] for task in model.tasks}
    logs = None
    for _ in range(steps):
        logs = model.train_on_batch(images, targets, return_dict=True)
    own = [id(v) for task in model.tasks for v in model.get_layer(task.name).trainable_variables]

    def flat(is_own):
        variables = [v for v in model.trainable_variables if (id(v) in own) == is_own]
        arrays = [keras.ops.convert_to_numpy(variable) for variable in variables]
        return np.concatenate([array.ravel() for array in arrays]).astype("float64")

    return logs, flat(False), flat(True)


@pytest.fixture(scope="module")
def plain():
    """`before, gradients, heads`: shared weights, every task's gradient there, heads by `Equal`."""
    _, before, _ = take_steps(smooth("equal"), steps=0)
    after = [take_steps(smooth(Fixed(weights)))[1] for weights in np.eye(3)]
    _, _, heads = take_steps(smooth("equal"))
    return before, (before - np.array(after)) / RATE, heads


@pytest.mark.parametrize(
    ("name", "over", "eager"),
    [
        *(
            pytest.param(name, over, True, marks=() if name in REPRESENTATIVE else one_backend)
            for name in NAMES
            for over in ("shared_weights", "bottleneck")
        ),
        *((name, "shared_weights", False) for name in REPRESENTATIVE),
    ],
)
def test_one_step(plain, name, over, eager):
    """Shared weights follow `sum_k w_k g_k`; heads their own task, as with equal weights."""
    before, gradients, expected_heads = plain
    model = smooth(make_balancer(name, over=over), run_eagerly=eager)
    logs, shared, heads = take_steps(model)
    np.testing.assert_allclose(heads, expected_heads, atol=1e-6)
    update = (before - shared) / RATE
    if name != "graddrop":
        weights = np.array([logs[f"{task}_weight"] for task in TASKS], "float64")
        size = np.abs(weights[:, None] * gradients).sum()
        np.testing.assert_allclose(update, weights @ gradients, atol=1e-5 * max(size, 1))
    elif over == "shared_weights":
        signs = [np.maximum(gradients, 0).sum(axis=0), np.minimum(gradients, 0).sum(axis=0)]
        assert np.abs(update - signs).min(axis=0).max() < 1e-5
    assert np.isfinite(update).all() and np.abs(update).max() > 0.01
    if not eager:
        _, expected, _ = take_steps(smooth(make_balancer(name, over=over)))
        np.testing.assert_allclose(shared, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["pcgrad", "gradvac", "graddrop", "gradnorm", "nashmtl"])
def test_a_resumed_training_goes_on(tmp_path, name):
    """What balancers remember is saved with the network, the random numbers included."""
    model = smooth(make_balancer(name))
    take_steps(model, steps=3)
    model.save(tmp_path / "model.keras")
    _, expected, _ = take_steps(model, steps=2)
    _, shared, _ = take_steps(keras.saving.load_model(tmp_path / "model.keras"), steps=2)
    np.testing.assert_allclose(shared, expected, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [name if name in REPRESENTATIVE else pytest.param(name, marks=one_backend) for name in NAMES],
)
def test_missing_labels(name):
    """A batch without labels of one task moves as the others alone; its head rests."""
    model = smooth(make_balancer(name))
    images, targets = make_batch()
    head = model.get_layer("depth")
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in head.trainable_variables]
    logs = model.train_on_batch(
        images, {**targets, "depth": np.zeros_like(targets["depth"])}, return_dict=True
    )
    assert {name for name, value in logs.items() if not np.isfinite(value)} == {"depth_loss"}
    for old, new in zip(before, head.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, keras.ops.convert_to_numpy(new))


@pytest.mark.parametrize("over", ["shared_weights", "bottleneck"])
def test_losses_that_layers_add(over):
    """Of weights and of activations, before the features and behind them: as with plain training.

    The optimizer scales the losses, which must reach these too.
    """
    results = []
    for balancer in ("equal", GradientBalancer(over)):
        model = smooth(balancer)
        for layer in (model.layers[1], model.get_layer("depth").projection):
            layer.activity_regularizer = keras.regularizers.L2(0.1)
            layer.kernel.regularizer = keras.regularizers.L2(0.1)
        model.optimizer.loss_scale_factor = 8.0
        logs, *weights = take_steps(model)
        assert logs["loss"] > sum(logs[f"{task}_loss"] for task in TASKS) + 0.1
        results.append([logs["loss"], *weights])
    for actual, expected in zip(*results, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("balancer", ["equal", GradientBalancer(), GradientBalancer("bottleneck")])
def test_layers_may_be_frozen_after_compile(balancer):
    model = smooth(balancer)
    first, second = model.layers[1], model.layers[2]
    first.trainable = model.get_layer("depth").trainable = False
    before = [np.array(layer.get_weights()[0]) for layer in (first, second)]
    take_steps(model)
    np.testing.assert_array_equal(first.get_weights()[0], before[0])
    assert not np.array_equal(second.get_weights()[0], before[1])
    second.trainable = False  # Nothing is shared now.
    model.compile("sgd", balancer=balancer, metrics={}, run_eagerly=True)
    logs = model.train_on_batch(*make_batch(), return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())


STEPS = {
    # But for those that draw other numbers on each backend; the order of two tasks is no draw.
    **{name: {"balancer": name} for name in sorted(set(BALANCERS) - {"rlw", "graddrop"})},
    "mgda_bottleneck": {"balancer": BALANCERS["mgda"](over="bottleneck")},
    "pcgrad_bottleneck": {"balancer": BALANCERS["pcgrad"](over="bottleneck")},
    # With ties, which backends round apart.
    "mgda_pooling": {"balancer": "mgda", "pooling": True},
    "pcgrad_pooling": {"balancer": "pcgrad", "pooling": True},
}


def two_steps(name):
    """The weights after two steps of a network of two tasks."""
    return np.concatenate(take_steps(smooth(num_tasks=2, **STEPS[name]), steps=2)[1:])


@pytest.mark.parametrize("name", STEPS)
def test_the_same_steps_on_every_backend(name):
    """As PyTorch took them when this file was run as a program, to 1e-5."""
    with np.load(GOLDEN) as golden:
        assert set(golden) == set(STEPS)
        difference = np.abs(two_steps(name) - golden[name])
    if name.endswith("pooling"):
        assert difference.mean() < 1e-4
    else:
        assert difference.max() < 1e-5


if __name__ == "__main__":
    np.savez_compressed(GOLDEN, **{name: two_steps(name).astype("float32") for name in STEPS})


def test_the_way_back_from_a_loss_leads_through_no_other_task(gradient):
    model = smooth("pcgrad")
    shapes = {task.name: model.output[task.name].shape[1:] for task in model.tasks}
    y_pred = {name: np.ones((2, *shape), "float32") for name, shape in shapes.items()}
    y = {name: np.ones((2, *shape), "float32") for name, shape in shapes.items()}
    y["segmentation"] = np.ones((2, 8, 8), "int32")
    y["depth"] *= 2
    weights = {name: np.ones((2, 8, 8), "float32") for name in y}
    # A gradient that comes by here turns NaN, be it zero.
    weights["depth"] *= np.nan
    y, y_pred, weights = keras.tree.map_structure(keras.ops.convert_to_tensor, (y, y_pred, weights))

    def segmentation_loss(depth):
        losses, _ = model.compute_task_losses(y, {**y_pred, "depth": depth}, weights)
        return losses[0] + 0.0 * keras.ops.sum(depth)

    np.testing.assert_array_equal(gradient(segmentation_loss, np.ones((2, 8, 8, 1), "float32")), 0)


@one_backend
def test_features_that_are_not_all():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(2, 1, name="early")(image)
    tasks = standardize_tasks(["depth", "normal"])
    features = {"depth": layers.Conv2D(2, 1)(x), "normal": x}
    outputs = prediction_heads(features, tasks, (2,))
    model = MultiTaskModel(image, outputs, tasks, {}, [features["depth"]])
    with pytest.raises(ValueError, match=r"'early/kernel' leads to .* Name more `features`"):
        model.compile("adam", balancer=make_balancer("pcgrad", over="bottleneck"))
