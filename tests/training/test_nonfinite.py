"""Steps that must not be taken, because a loss or a gradient is no number."""

import keras
import numpy as np
import pytest

from keras_atinet.balancing import (
    BALANCERS,
    DynamicTaskPrioritization,
    Fixed,
    GradientBalancer,
    NashMTL,
)
from keras_atinet.training import FiniteLosses

TASKS = ("segmentation", "depth")
ONE_BACKEND = pytest.mark.one_backend
NOT_TORCH = pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras refuses it there")


@pytest.fixture
def steps(batch):
    """Four batches of one image, the third of them not a number."""
    images, targets = batch
    images[2] = np.nan
    return images, {name: targets[name] for name in TASKS}


def kept(model):
    """The variables that a step which is not taken leaves alone: all but those of metrics."""
    metrics = {id(variable) for variable in model.metrics_variables}
    variables = [*model.variables, *model.optimizer.variables]
    return [variable for variable in variables if id(variable) not in metrics]


@pytest.mark.parametrize(
    "balancer",
    [
        "dwa",
        GradientBalancer("bottleneck"),
        # On each in `test_fit_skips_and_counts`.
        pytest.param(GradientBalancer(), marks=ONE_BACKEND),
    ],
)
@pytest.mark.parametrize("odd", [np.nan, pytest.param(np.inf, marks=ONE_BACKEND)])
def test_a_step_with_an_odd_loss_is_not_taken(make, batch, values, balancer, odd):
    images, targets = batch
    targets = {name: targets[name] for name in TASKS}
    model = make(balancer=balancer, on_nonfinite="skip", metrics={}, optimizer="adam")
    model.train_on_batch(images, targets)
    before = values(kept(model))
    weights = {"depth": np.full(4, odd, "float32")}  # of the loss of one task
    logs = model.train_on_batch(images, targets, sample_weight=weights, return_dict=True)
    assert logs["skipped_steps"] == 1 and np.isnan(logs["depth_loss"])
    for old, new in zip(before, values(kept(model)), strict=True):
        np.testing.assert_array_equal(old, new)
    model.train_on_batch(images, targets)
    assert any(
        not np.array_equal(old, new) for old, new in zip(before, values(kept(model)), strict=True)
    )


@pytest.mark.parametrize("balancer", [DynamicTaskPrioritization(), NashMTL(over="bottleneck")])
def test_a_step_that_the_loss_scale_skips_is_not_taken(make, batch, values, balancer):
    images, targets = batch
    targets = {name: targets[name] for name in TASKS}
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), initial_scale=2.0**40)
    model = make(balancer=balancer, metrics={}, optimizer=optimizer, dtype="mixed_float16")
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    before, remembered = values(variables), values(model.balancer.variables)
    model.train_on_batch(images, targets)
    for old, new in zip(before, values(variables), strict=True):
        np.testing.assert_array_equal(old, new)
    assert float(optimizer.dynamic_scale) == 2.0**39
    with pytest.warns(UserWarning, match="No step of epoch 1 was taken"):
        model.fit(images, targets, verbose=0)
    optimizer.dynamic_scale.assign(8.0)
    model.train_on_batch(images, targets)
    assert all(np.isfinite(value).all() for value in values(variables))
    for old, new in zip(remembered, values(model.balancer.variables), strict=True):
        assert not np.array_equal(old, new)


def test_fit_names_task_and_step(make, steps, values):
    model = make(metrics={})
    with pytest.raises(FloatingPointError, match=r"'segmentation', 'depth' .* step 3 of epoch 1\."):
        model.fit(*steps, batch_size=1, epochs=2, shuffle=False, verbose=0)
    assert all(np.isfinite(value).all() for value in values(model.weights))


def test_the_first_odd_step_is_named_if_steps_come_out_of_order(make):
    callback = FiniteLosses()
    callback.set_model(make(metrics={}))
    callback.on_epoch_begin(0)
    bad = np.inf
    for step in (0, 1, 3, 2):
        callback.on_train_batch_end(step, {"loss": bad, "depth_loss": bad} if step >= 2 else {})
    with pytest.raises(FloatingPointError, match=r"'depth' .* step 3 of epoch 1"):
        callback.on_epoch_end(0)


def root(y_true, y_pred):
    """At a depth of 2 its value is 0 and its gradient, infinity times 0, no number."""
    return keras.ops.sqrt(keras.ops.relu(y_true - 2) * keras.ops.square(y_pred))[..., 0]


@pytest.fixture
def rooted(batch):
    """Four batches of one image, of which the third has such a gradient."""
    images, targets = batch
    depth = np.full((4, 32, 64, 1), 3, "float32")
    depth[2] = 2
    return images, {"segmentation": targets["segmentation"], "depth": depth}


@pytest.mark.parametrize("dtype", ["float32", pytest.param("mixed_bfloat16", marks=ONE_BACKEND)])
@pytest.mark.parametrize("balancer", ["equal", pytest.param(GradientBalancer(), marks=ONE_BACKEND)])
@pytest.mark.parametrize("group", [1, pytest.param(2, marks=NOT_TORCH)])
def test_a_gradient_that_is_not_finite_stops_fit(make, rooted, values, dtype, balancer, group):
    """The weights are those from before that step, whatever came after it."""

    def train(count):
        model = make(
            balancer=balancer,
            loss={"depth": root},
            metrics={},
            dtype=dtype,
            steps_per_execution=group,
        )
        data = keras.tree.map_structure(lambda array: array[:count], rooted)
        try:
            model.fit(*data, batch_size=1, shuffle=False, verbose=0)
        except FloatingPointError as error:
            return values(kept(model)), str(error)
        return values(kept(model)), ""

    (expected, nothing), (found, error) = train(2), train(4)
    assert not nothing and "losses of the tasks are finite, but not their gradient" in error
    assert ("at step 3 of" if group == 1 else "at one of the steps 3 to 4 of") in error
    assert "No step was taken from it on" in error
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_a_gradient_that_is_not_finite_is_skipped(make, rooted, values):
    model = make(loss={"depth": root}, on_nonfinite="skip")
    logs = model.fit(*rooted, batch_size=1, shuffle=False, verbose=0).history
    assert logs["skipped_steps"] == [1] and np.isfinite(list(logs.values())).all()
    assert all(np.isfinite(value).all() for value in values(model.variables))


@ONE_BACKEND
def test_large_gradients_are_finite(make, batch, values):
    """Though their squares are not."""

    def large(y_true, y_pred):
        return 1e30 * keras.ops.abs(y_true - y_pred)[..., 0]

    images, targets = batch
    optimizer = keras.optimizers.SGD(1e-32)
    model = make(tasks=("depth",), loss={"depth": large}, metrics={}, optimizer=optimizer)
    before = values(model.trainable_variables)
    model.train_on_batch(images, {"depth": targets["depth"]})
    assert not np.array_equal(before[-1], values(model.trainable_variables)[-1])


@pytest.mark.parametrize("run_eagerly", [pytest.param(True, marks=ONE_BACKEND), False])
def test_fit_skips_and_counts(make, steps, values, run_eagerly):
    model = make(on_nonfinite="skip", balancer=GradientBalancer(), run_eagerly=run_eagerly)
    # Its metrics are reset, which must not reach the logs of the epoch before.
    validation = keras.tree.map_structure(lambda array: array[:1], steps)
    logs = model.fit(
        *steps, batch_size=1, epochs=2, shuffle=False, verbose=0, validation_data=validation
    ).history
    assert logs["skipped_steps"] == [1, 1]
    assert all(np.isfinite(value).all() for value in logs.values())
    assert all(np.isfinite(value).all() for value in values(model.variables))
    # The mean is that of the good steps.
    images, targets = steps
    good = [0, 1, 3]
    other = make(on_nonfinite="skip", balancer=GradientBalancer(), run_eagerly=run_eagerly)
    expected = other.fit(
        images[good],
        {name: target[good] for name, target in targets.items()},
        batch_size=1,
        epochs=1,
        shuffle=False,
        verbose=0,
    ).history
    for name in ("loss", "depth_loss", "segmentation_mean_iou", "depth_rmse"):
        np.testing.assert_allclose(logs[name][0], expected[name][0], rtol=1e-3)


@pytest.mark.parametrize(
    "balancer",
    [
        "nashmtl",
        *(
            pytest.param(balancer, marks=ONE_BACKEND)
            for balancer in (Fixed((2.0, 0.5)), *BALANCERS)
            if balancer != "nashmtl"
        ),
    ],
)
def test_what_a_skipped_step_logs(make, steps, balancer):
    """The balancer's logs of the last step that was taken; before there is one, no numbers."""
    stages = []

    class Recorder(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            stages.append(logs)

    model = make(on_nonfinite="skip", balancer=balancer, metrics={})
    order = [2, 1, 0, 2]
    data = keras.tree.map_structure(lambda array: array[order], steps)
    model.fit(*data, batch_size=1, shuffle=False, verbose=0, callbacks=[Recorder()])
    logs = [{name: float(value) for name, value in stage.items()} for stage in stages]
    assert [stage.pop("skipped_steps") for stage in logs] == [1, 1, 1, 2]
    none, _, last, skipped = logs
    assert {"loss", "depth_loss", "depth_weight"} < set(none)
    assert np.isnan(list(none.values())).all()
    assert np.isfinite(list(last.values())).all() and skipped == last


class Calls(keras.metrics.Sum):
    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(1.0)


def test_logs_stay_as_they_are(make, steps):
    """What a callback keeps of a step, though the metric's result may be its variable."""
    kept = []
    keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda _, logs: kept.append(logs))
    keep.on_test_batch_end = lambda _, logs: kept.append(logs)
    model = make(tasks=("depth",), metrics={"depth": [Calls(name="calls")]})
    data = [steps[0][:2], {"depth": steps[1]["depth"][:2]}]
    history = model.fit(
        *data, batch_size=1, epochs=2, verbose=0, validation_data=data, callbacks=[keep]
    ).history
    calls = [float(next(v for k, v in logs.items() if k.endswith("calls"))) for logs in kept]
    assert calls == [1, 2, 1, 2] * 2
    assert history["depth_calls"] == history["val_depth_calls"] == [2, 2]


def test_an_epoch_of_skipped_steps_is_not_the_best(make, steps):
    model = make(on_nonfinite="skip", metrics={})
    stop = keras.callbacks.EarlyStopping("loss", patience=5)

    def batches():
        for index in (0, 0, 2, 2):
            yield keras.tree.map_structure(lambda array: array[[index]], steps)  # noqa: B023

    logs = model.fit(batches(), steps_per_epoch=2, epochs=2, verbose=0, callbacks=[stop]).history
    assert np.isnan(logs["loss"]).tolist() == [False, True] and logs["skipped_steps"] == [0, 2]
    assert stop.best == logs["loss"][0]


@ONE_BACKEND
@pytest.mark.parametrize("on_nonfinite", ["raise", "skip"])
def test_weights_that_are_not_finite_stop_fit(make, steps, on_nonfinite):
    model = make(on_nonfinite=on_nonfinite, metrics={}, optimizer=keras.optimizers.SGD(np.inf))
    data = keras.tree.map_structure(lambda array: array[:1], steps)
    saved = []
    save = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: saved.append(1))
    with pytest.raises(FloatingPointError, match=r"at the end of epoch 1.*kernel.*more variables"):
        model.fit(*data, verbose=0, callbacks=[save])
    with pytest.raises(FloatingPointError, match="before training began"):
        model.fit(*data, verbose=0)
    assert not saved


@ONE_BACKEND
def test_hooks_that_training_does_not_call_are_refused(make):
    def derived(name, base, hook):
        return type(name, (base,), {hook: lambda self, *arguments, **options: None})

    network = type(make())
    own_loss = derived("OwnLoss", network, "compute_loss")
    with pytest.raises(ValueError, match=r"`compute_loss` would .*`OwnLoss`.*`compile\(loss="):
        make(own_loss)
    make(derived("OwnStep", own_loss, "train_step"))
    own_call = derived("OwnCall", network, "call")
    make(own_call)
    with pytest.raises(ValueError, match=r"`call` would .*`OwnCall`"):
        make(own_call, balancer=GradientBalancer("bottleneck"))


def test_the_choice_is_checked_and_saved(make, tmp_path):
    with pytest.raises(ValueError, match=r"`on_nonfinite`.*'raise', 'skip'.*'stop'"):
        make(on_nonfinite="stop")
    make(on_nonfinite="skip").save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_compile_config()["on_nonfinite"] == "skip"
