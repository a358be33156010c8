"""The train step of the backend in use."""

import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet.balancing import GradientBalancer

TASKS = ("segmentation", "depth")


def pick(targets, tasks=TASKS):
    return {name: targets[name] for name in tasks}


def test_equals_keras_own_step(make, batch, values):
    """With equal weights, a plain `keras.Model` on the same graph takes the same steps."""
    images, targets = batch
    targets = pick(targets)
    ours = make(balancer="equal", metrics={})
    theirs = make(metrics={})
    theirs.set_weights(ours.get_weights())
    plain = keras.Model(theirs.input, theirs.output)
    plain.compile(
        keras.optimizers.Adam(1e-2),
        loss={task.name: task.loss() for task in ours.tasks},
        run_eagerly=ours.run_eagerly,
    )
    prepared = {task.name: task.prepare(targets[task.name]) for task in ours.tasks}
    clean = {name: keras.ops.convert_to_numpy(y) for name, (y, _) in prepared.items()}
    masks = {
        name: keras.ops.convert_to_numpy(mask).astype("float32")
        for name, (_, mask) in prepared.items()
    }
    for _ in range(3):
        our_logs = ours.train_on_batch(images, targets, return_dict=True)
        their_logs = plain.train_on_batch(images, clean, sample_weight=masks, return_dict=True)
        np.testing.assert_allclose(our_logs["loss"], their_logs["loss"], rtol=1e-4)
    assert len(values(ours.weights)) >= 20
    for mine, other in zip(values(ours.weights), values(plain.weights), strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-4)


def test_logs(make, batch):
    images, targets = batch
    model = make(tasks=("segmentation", "depth", "normal"), balancer="dwa")
    logs = model.train_on_batch(images, targets, return_dict=True)
    losses = [logs[f"{task.name}_loss"] for task in model.tasks]
    np.testing.assert_allclose(logs["loss"], sum(losses), rtol=1e-5)
    assert logs["depth_weight"] == 1
    expected = {"loss"}
    for task in model.tasks:
        expected |= {f"{task.name}_loss", f"{task.name}_weight"}
        expected |= {f"{task.name}_{metric.name}" for metric in task.metrics()}
    assert set(logs) == expected
    # The depth loss is the metric of the same equation.
    np.testing.assert_allclose(logs["depth_loss"], logs["depth_abs_error"], rtol=1e-5)
    tested = model.test_on_batch(images, targets, return_dict=True)
    assert set(tested) == {name for name in expected if not name.endswith("_weight")}


def test_a_single_task_has_the_same_names_in_its_logs(make, batch):
    images, targets = batch
    model = make(tasks=("depth",))
    logs = model.train_on_batch(images, targets["depth"], return_dict=True)
    assert {"loss", "depth_loss", "depth_weight", "depth_rmse"} <= set(logs)


def test_weights_of_the_balancer_are_applied(make, batch, values):
    """A task of weight 0 leaves its head alone; the objective is the weighted sum."""
    images, targets = batch
    model = make(balancer="dwa", optimizer=keras.optimizers.SGD(0.1))
    model.balancer.current_weights.assign([0.0, 2.0])
    heads = [model.get_layer(name) for name in TASKS]
    before = [values(head.trainable_variables) for head in heads]
    logs = model.train_on_batch(images, pick(targets), return_dict=True)
    after = [values(head.trainable_variables) for head in heads]
    np.testing.assert_allclose(logs["loss"], 2 * logs["depth_loss"], rtol=1e-5)
    for old, new in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(old, new)
    assert all(not np.array_equal(old, new) for old, new in zip(before[1], after[1], strict=True))


def test_void_targets_change_nothing(make, batch, values):
    images, _ = batch
    model = make(balancer="equal", optimizer=keras.optimizers.SGD(0.1))
    before = values(model.trainable_variables)
    targets = {
        "segmentation": np.array([-1, 255, 5, 99])[:, None, None] * np.ones((4, 32, 64), "int32"),
        "depth": np.array([0, -1, np.nan, np.inf])[:, None, None, None]
        * np.ones((4, 32, 64, 1), "float32"),
    }
    logs = model.train_on_batch(images, targets, return_dict=True)
    names = ["loss", "segmentation_loss", "depth_loss", "depth_rmse", "depth_weight"]
    assert np.isnan([logs[name] for name in names]).all()  # of no step
    for old, new in zip(before, values(model.trainable_variables), strict=True):
        np.testing.assert_array_equal(old, new)


def test_sample_weight_leaves_samples_out(make, batch):
    images, targets = batch
    targets = pick(targets)
    model = make()
    weight = np.array([1, 1, 0, 0], "float32")
    half = {name: target[:2] for name, target in targets.items()}
    expected = model.test_on_batch(images[:2], half, return_dict=True)
    model.reset_metrics()
    # One array counts for all tasks, a dict for each.
    one = model.test_on_batch(images, targets, sample_weight=weight, return_dict=True)
    model.reset_metrics()
    pixels = np.broadcast_to(weight[:, None, None], (4, 32, 64))
    each = model.test_on_batch(
        images, targets, sample_weight={"segmentation": weight, "depth": pixels}, return_dict=True
    )
    for logs in (one, each):
        for name, value in expected.items():
            np.testing.assert_allclose(logs[name], value, rtol=1e-4, err_msg=name)


def test_added_losses_count_once(make, batch):
    images, targets = batch
    model = make(metrics={})
    conv = model.get_layer("depth").projection
    conv.kernel_regularizer = keras.regularizers.L2(10.0)
    conv.kernel.regularizer = conv.kernel_regularizer
    penalty = 10.0 * np.sum(np.square(keras.ops.convert_to_numpy(conv.kernel)))
    logs = model.train_on_batch(images, pick(targets), return_dict=True)
    plain = logs["segmentation_loss"] + logs["depth_loss"]
    np.testing.assert_allclose(logs["loss"], plain + penalty, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(make, batch, values, policy):
    images, targets = batch
    model = make(dtype=policy, metrics={})
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    before = values(model.trainable_variables)
    logs = model.train_on_batch(images, pick(targets), return_dict=True)
    assert np.isfinite(logs["loss"]) and logs["loss"] < 100
    after = values(model.trainable_variables)
    assert all(np.isfinite(value).all() for value in after)
    assert any(not np.array_equal(old, new) for old, new in zip(before, after, strict=True))


def test_compiled_equals_eager_and_steps_per_execution(make, batch, values):
    images, targets = batch
    targets = pick(targets)
    arguments = [{"run_eagerly": True}, {"run_eagerly": False}]
    if keras.backend.backend() != "torch":  # Keras has none on PyTorch.
        arguments.append({"run_eagerly": False, "steps_per_execution": 2})
    results = []
    for argument in arguments:
        model = make(metrics={}, optimizer=keras.optimizers.SGD(0.01), **argument)
        history = model.fit(images, targets, batch_size=2, epochs=1, shuffle=False, verbose=0)
        results.append((history.history["loss"][0], values(model.trainable_variables)))
    for loss, weights in results[1:]:
        np.testing.assert_allclose(loss, results[0][0], rtol=1e-3)
        differences = [np.abs(a - b).mean() for a, b in zip(weights, results[0][1], strict=True)]
        assert max(differences) < 1e-3


def test_same_seed_same_numbers(make, batch):
    images, targets = batch
    histories = [
        make(metrics={}).fit(images, pick(targets), batch_size=2, epochs=2, verbose=0).history
        for _ in range(2)
    ]
    for name in histories[0]:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-5)


def test_same_seed_same_phase_switch(make, small_atinet, batch):
    images, targets = batch
    histories = []
    for _ in range(2):
        model = make(small_atinet, tasks=("depth",), metrics={})
        options = {"epochs": 2, "verbose": 0, "shuffle": False}
        histories.append(model.fit(images, pick(targets, ["depth"]), **options).history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-5)


def test_fit_on_batches_of_any_size(make, batch):
    """Compiled, with sample weights, the image in a dict and a last batch that is smaller."""
    tf = pytest.importorskip("tensorflow")
    images, targets = batch
    weights = {name: np.array([1, 1, 1, 0], "float32") for name in TASKS}
    data = tf.data.Dataset.from_tensor_slices(({"image": images}, pick(targets), weights)).batch(3)
    model = make(balancer="dwa", run_eagerly=False)
    history = model.fit(data, epochs=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    np.testing.assert_allclose(history["depth_loss"], history["depth_abs_error"], rtol=1e-4)
    np.testing.assert_allclose(history["depth_weight"][:2], 1, rtol=1e-6)
    assert history["depth_weight"][2] != 1
    total = history["depth_weight"][2] + history["segmentation_weight"][2]
    np.testing.assert_allclose(total, 2, rtol=1e-5)


def test_gradients_of_each_task_add_up(make, small_atinet, batch, values):
    """Taken task by task and added up, they are those of the sum; the encoder included.

    `tests/models/test_networks.py` does it with every network.
    """
    images, targets = batch
    results = []
    for balancer in ("equal", GradientBalancer(), GradientBalancer("bottleneck", True)):
        model = make(
            small_atinet,
            balancer=balancer,
            metrics={},
            optimizer=keras.optimizers.SGD(0.1),
            run_eagerly=True,
        )
        logs = model.train_on_batch(images, pick(targets), return_dict=True)
        results.append((logs["loss"], values(model.variables)))
    for loss, weights in results[1:]:
        np.testing.assert_allclose(loss, results[0][0], rtol=1e-5)
        for one, other in zip(results[0][1], weights, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
    names = {"segmentation_gradient_norm", "depth_gradient_norm", "segmentation_depth_cosine"}
    assert names <= set(logs)
    assert logs["depth_gradient_norm"] > 0 and -1 <= logs["segmentation_depth_cosine"] <= 1


@keras.saving.register_keras_serializable(package="tests")
class Edges(keras_atinet.Task):
    """A task of the user's, with the base class's constructor."""

    def prepare(self, y_true):
        return y_true, y_true[..., 0] >= 0

    def loss(self):
        return keras.losses.BinaryCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )


def test_own_task(make, batch, tmp_path):
    images, targets = batch
    edges = (targets["depth"] > 2).astype("float32")
    model = make(tasks=Edges("edges", 1))
    logs = model.train_on_batch(images, {"edges": edges}, return_dict=True)
    assert 0 < logs["edges_loss"] < 10
    model.save(tmp_path / "edges.keras")
    loaded = keras.saving.load_model(tmp_path / "edges.keras")
    assert isinstance(loaded.tasks[0], Edges) and loaded.tasks[0].channels == 1


def test_compiling_again_leaves_nothing_behind(make, batch):
    images, targets = batch
    model = make(balancer="dwa", metrics={"depth": [keras.metrics.MeanAbsoluteError()]})
    count = len(model.variables)
    model.compile(balancer="equal", metrics={})
    assert len(model.variables) == count - 2
    model.compile(
        balancer="dwa",
        metrics={"depth": [keras.metrics.MeanAbsoluteError()]},
        run_eagerly=model.run_eagerly,
    )
    assert len(model.variables) == count
    with pytest.raises(ValueError, match="Unknown `balancer`"):
        model.compile(balancer="fair")
    logs = model.test_on_batch(images, pick(targets), return_dict=True)
    expected = {"loss", "depth_loss", "segmentation_loss", "depth_mean_absolute_error"}
    assert set(logs) == expected


@pytest.mark.parametrize("loss", ["mse", keras.losses.mean_squared_error])
def test_a_loss_by_name_or_function(make, batch, loss):
    images, targets = batch
    model = make(tasks=("depth",), loss=loss, metrics={"depth": "mse"})
    logs = model.test_on_batch(images, targets["depth"], return_dict=True)
    assert all(name == "loss" or name.startswith("depth_") for name in logs) and len(logs) == 3
    model.compile(loss=keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"))
    expected = model.test_on_batch(images, targets["depth"], return_dict=True)["depth_loss"]
    np.testing.assert_allclose(logs["depth_loss"], expected, rtol=1e-5)


def test_own_loss_and_metrics(make, batch):
    images, targets = batch
    model = make(
        loss={"depth": keras.losses.MeanSquaredError(reduction="mean_with_sample_weight")},
        metrics={"depth": ["mean_squared_error"]},
    )
    logs = model.test_on_batch(images, pick(targets), return_dict=True)
    np.testing.assert_allclose(logs["depth_loss"], logs["depth_mean_squared_error"], rtol=1e-4)
    assert set(logs) == {"loss", "depth_loss", "segmentation_loss", "depth_mean_squared_error"}


def test_errors(make, batch):
    images, targets = batch
    with pytest.raises(ValueError, match=r"Unknown `balancer`.*'fair'.*dwa"):
        make(balancer="fair")
    used = make(tasks=("segmentation", "depth", "normal"), balancer="famo").balancer
    with pytest.raises(ValueError, match=r"another number of tasks.*famo.*network of 2"):
        make(balancer=used)
    with pytest.raises(ValueError, match=r"no `loss_weights`.*balancer"):
        make(loss_weights={"depth": 2.0})
    with pytest.raises(ValueError, match=r"`loss`.*\['segmentation', 'depth'\].*colour"):
        make(loss={"colour": "mse"})
    model = make()
    with pytest.raises(ValueError, match=r"no target for the tasks \['depth'\]"):
        model.train_on_batch(images, pick(targets, ["segmentation"]))
    wrong = {"segmentation": targets["segmentation"], "depth": targets["normal"]}
    with pytest.raises(ValueError, match=r"'depth' must have the shape.*\(4, 32, 64, 3\)"):
        model.train_on_batch(images, wrong)


def test_compile_arguments_are_saved(make, batch, tmp_path):
    images, targets = batch
    targets = pick(targets)
    model = make(balancer=keras_atinet.DynamicWeightAverage(temperature=1.5))
    model.fit(images, targets, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.balancer.temperature == 1.5
    for name in ("current_weights", "last_losses"):
        old, new = (getattr(m.balancer, name) for m in (model, loaded))
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(v) for v in (old, new)))
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) == 3
    for old, new in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(v) for v in (old, new)))
    model.reset_metrics()  # those of `fit`
    expected, got = (m.test_on_batch(images, targets, return_dict=True) for m in (model, loaded))
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5)
