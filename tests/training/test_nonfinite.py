"""Steps that must not be taken, because a loss is no number."""

import keras
import numpy as np
import pytest

from keras_atinet.balancing import DynamicTaskPrioritization, GradientBalancer, NashMTL
from keras_atinet.training import FiniteLosses

TASKS = ("segmentation", "depth")


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


@pytest.mark.parametrize("balancer", ["dwa", GradientBalancer(), GradientBalancer("bottleneck")])
@pytest.mark.parametrize("odd", [np.nan, pytest.param(np.inf, marks=pytest.mark.one_backend)])
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


@pytest.mark.parametrize("run_eagerly", [pytest.param(True, marks=pytest.mark.one_backend), False])
def test_fit_skips_and_counts(make, steps, values, run_eagerly):
    model = make(on_nonfinite="skip", balancer=GradientBalancer(), run_eagerly=run_eagerly)
    logs = model.fit(*steps, batch_size=1, epochs=2, shuffle=False, verbose=0).history
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


def test_the_choice_is_checked_and_saved(make, tmp_path):
    with pytest.raises(ValueError, match=r"`on_nonfinite`.*'raise', 'skip'.*'stop'"):
        make(on_nonfinite="stop")
    make(on_nonfinite="skip").save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_compile_config()["on_nonfinite"] == "skip"
