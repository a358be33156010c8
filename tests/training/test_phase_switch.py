"""The two phases of ATI-Net."""

import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet.layers import AttentionMask

TASKS = ("segmentation", "depth", "normal")


def is_conv_bias(variable):
    """BatchNorm behind it takes the mean away: the gradient of such a bias is 0."""
    return variable.path.endswith("conv/bias")


@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.one_backend), 3])
def test_gradients_reach_the_distillation_in_phase_2_only(count, small_atinet, batch, values):
    images, targets = batch
    keras.utils.set_random_seed(3)
    tasks = [
        keras_atinet.SemanticSegmentation(num_classes=5),
        keras_atinet.DepthEstimation(),
        keras_atinet.SurfaceNormals(),
        keras_atinet.DepthEstimation(name="height"),
    ][:count]
    targets = {**targets, "height": targets["depth"]}
    model = small_atinet(tasks, input_shape=(32, 64, 3), filters=(8, 8, 8))
    model.compile(
        keras.optimizers.SGD(1.0), metrics={}, run_eagerly=keras.backend.backend() == "tensorflow"
    )
    targets = {task.name: targets[task.name] for task in tasks}
    variables = model.get_layer("distillation").trainable_variables
    assert len(variables) == 24 * count + 4 * count * (count - 1)
    for active in (False, True):
        model.distillation_active = active
        before = values(variables)
        model.train_on_batch(images, targets)
        for variable, old, new in zip(variables, before, values(variables), strict=True):
            if active and not is_conv_bias(variable):
                assert not np.array_equal(old, new), variable.path
            elif not active:
                np.testing.assert_array_equal(old, new, err_msg=variable.path)


@pytest.fixture
def small(make, small_atinet):
    def small(tasks=("depth",), **arguments):
        return make(small_atinet, tasks=tasks, metrics={}, **arguments)

    return small


class Watch(keras.callbacks.Callback):
    """Notes the phase in which each epoch runs."""

    def __init__(self):
        super().__init__()
        self.phases = []

    def on_train_batch_begin(self, batch, logs=None):
        self.phases.append(self.model.distillation_active)


def test_fit_switches_halfway_by_itself(small, batch, capsys):
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    model = small()
    watch = Watch()
    model.fit(images, targets, epochs=4, verbose=2, callbacks=[watch])
    assert watch.phases == [False, False, True, True]
    lines = [line for line in capsys.readouterr().out.splitlines() if "Phase 2" in line]
    assert len(lines) == 1 and "epoch 3" in lines[0] and "attention" in lines[0]


@pytest.mark.parametrize("reset", ["attention", ("attention", "heads"), ()])
def test_switch_resets_modules_and_optimizer_slots(small, batch, values, reset):
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    model = small()
    switch = keras_atinet.PhaseSwitch(at=0.5, reset=reset, seed=7)
    model.fit(images, targets, epochs=1, verbose=0, callbacks=[keras_atinet.PhaseSwitch(at=1)])
    switch.set_model(model)
    switch.set_params({"epochs": 2})
    before = values(model.trainable_variables)
    state = {id(variable): values([variable])[0] for variable in model.optimizer.variables}
    switch.on_epoch_begin(0)
    assert not model.distillation_active
    switch.on_epoch_begin(1)
    assert model.distillation_active
    kinds = (reset,) if isinstance(reset, str) else reset
    reset_ids = {
        id(variable)
        for kind in kinds
        for layer in model.module_layers(kind)
        for variable in layer.trainable_variables
    }
    if "attention" in kinds:
        masks = [layer for layer in model.layers if isinstance(layer, AttentionMask)]
        assert len(masks) == 1 and len(model.module_layers("attention")) == 2
    for variable, old in zip(model.trainable_variables, before, strict=True):
        new = keras.ops.convert_to_numpy(variable)
        if id(variable) in reset_ids:
            if new.ndim == 4:
                assert not np.array_equal(old, new), variable.path
                fans = new.shape[0] * new.shape[1] * (new.shape[2] + new.shape[3])
                # Glorot-normal: deviation sqrt(2 / (fan in + fan out)), cut at two of them.
                assert np.abs(new).max() <= 2.4 * np.sqrt(2 / fans)
            elif variable.name == "gamma":
                assert (new == 1).all()
            else:
                assert (new == 0).all()
        else:
            np.testing.assert_array_equal(old, new)
    # The state of a group is new or as it was; that of the distillation was never anything else.
    for part in model.optimizer._parts:
        restarted = part.name in (*kinds, "distillation")
        for variable in part.optimizer.variables:
            now = keras.ops.convert_to_numpy(variable)
            if restarted:
                assert (now == 0).all()
            else:
                np.testing.assert_array_equal(now, state[id(variable)])
    after = values(model.trainable_variables)
    switch.on_epoch_begin(1)
    for old, new in zip(after, values(model.trainable_variables), strict=True):
        np.testing.assert_array_equal(old, new)


def test_moving_average_of_a_reset_weight_starts_from_it(small, values):
    model = small(optimizer=keras.optimizers.Adam(1e-3, use_ema=True))
    model.optimizer.build(model.trainable_variables)
    switch = keras_atinet.PhaseSwitch(at=0)
    switch.set_model(model)
    switch.set_params({"epochs": 1})
    switch.on_epoch_begin(0)
    reset = {id(v) for layer in model.module_layers("attention") for v in layer.variables}
    averages = model.optimizer._model_variables_moving_average
    pairs = zip(model.trainable_variables, averages, strict=True)
    checked = [values(pair) for pair in pairs if id(pair[0]) in reset]
    # A mask has two convolutions with BatchNorm, the shared block one.
    assert len(checked) == 2 * 4 + 4
    for variable, average in checked:
        np.testing.assert_array_equal(average, variable)


def test_a_stopped_fit_goes_on_in_the_right_phase(small, batch, values, tmp_path):
    """Stopped behind the switch: it is not repeated. Stopped before it: it is not skipped."""
    images, targets = batch
    whole = small(balancer="dwa")
    options = {"verbose": 0, "epochs": 4, "shuffle": False}
    history = whole.fit(
        images, targets, callbacks=[keras_atinet.PhaseSwitch(seed=5)], **options
    ).history

    for stop in (1, 3):
        part = small(balancer="dwa")

        class Stop(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None, stop=stop):
                if epoch == stop:
                    raise KeyboardInterrupt

        backup = keras.callbacks.BackupAndRestore(tmp_path / str(stop))
        switch = keras_atinet.PhaseSwitch(seed=5)
        with pytest.raises(KeyboardInterrupt):
            part.fit(images, targets, callbacks=[switch, backup, Stop()], **options)
        resumed = small(balancer="dwa")
        backup = keras.callbacks.BackupAndRestore(tmp_path / str(stop))
        rest = resumed.fit(images, targets, callbacks=[switch, backup], **options).history
        assert resumed.distillation_active
        assert len(rest["loss"]) == 4 - stop
        for name, expected in history.items():
            np.testing.assert_allclose(rest[name], expected[stop:], rtol=1e-5, err_msg=name)
        for one, other in zip(values(resumed.variables), values(whole.variables), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_a_loaded_model_goes_on_in_the_right_phase(small, batch, tmp_path):
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    model = small()
    switch = keras_atinet.PhaseSwitch(at=0.5)
    model.fit(images, targets, epochs=2, verbose=0, callbacks=[switch])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    watch = Watch()
    loaded.fit(images, targets, epochs=3, initial_epoch=2, verbose=0, callbacks=[watch])
    assert watch.phases == [True]


def test_errors(make, small_atinet, batch):
    images, targets = batch
    with pytest.raises(ValueError, match=r"\[0, 1\].*at=2"):
        keras_atinet.PhaseSwitch(at=2)
    with pytest.raises(ValueError, match=r"attention.*decoder"):
        keras_atinet.PhaseSwitch(reset="decoder")
    with pytest.raises(ValueError, match=r"`restart`.*'reset', 'all'.*'some'"):
        keras_atinet.PhaseSwitch(restart="some")
    for ramp in (-1, 0.5, True):
        with pytest.raises(ValueError, match=r"`ramp`.*number of epochs.*Received"):
            keras_atinet.PhaseSwitch(ramp=ramp)
    model = make(tasks=("depth",))
    twice = [keras_atinet.PhaseSwitch(), keras_atinet.PhaseSwitch(at=0.1)]
    with pytest.raises(ValueError, match=r"one `PhaseSwitch`.*2 in"):
        make(small_atinet, tasks=("depth",)).fit(images, targets, callbacks=twice)
    with pytest.raises(TypeError, match=r"`ATINet`.*Small"):
        model.fit(images, targets, verbose=0, callbacks=[keras_atinet.PhaseSwitch()])


class Shares(keras.callbacks.Callback):
    """Notes the share of distilled features in each epoch."""

    def __init__(self):
        super().__init__()
        self.shares = []

    def on_train_batch_begin(self, batch, logs=None):
        self.shares.append(self.model.distillation_share)


def switched_on(model, switch, epochs, initial_epoch=0):
    """What `fit` makes of the share, without training."""
    switch.set_model(model)
    switch.set_params({"epochs": epochs})
    switch.on_train_begin()
    shares = []
    for epoch in range(initial_epoch, epochs):
        switch.on_epoch_begin(epoch)
        shares.append(round(model.distillation_share, 6))
    return shares


def test_a_ramp(small):
    model = small()
    switch = keras_atinet.PhaseSwitch(at=0.4, ramp=3, reset=())
    assert switched_on(model, switch, 10) == [0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1]
    # A resumed training is where an undisturbed one would be, and a share never falls.
    model.distillation_share = 0.5
    assert switched_on(model, switch, 10, initial_epoch=6) == [0.75, 1, 1, 1]
    assert switched_on(model, keras_atinet.PhaseSwitch(at=0.9, reset=()), 10) == [1] * 10
    model.distillation_share = 0.5
    model.distillation_active = True  # it is already
    assert model.distillation_share == 0.5
    model.distillation_active = False
    assert model.distillation_share == 0
    model.distillation_active = True
    assert model.distillation_share == 1
    model.distillation_active = False
    assert switched_on(model, keras_atinet.PhaseSwitch(at=0, reset=()), 3) == [1, 1, 1]
    for share in (1.5, "a"):
        with pytest.raises(ValueError, match=rf"`distillation_share`.*\[0, 1\].*{share}"):
            model.distillation_share = share


def test_a_ramp_that_does_not_end(small, batch, capsys):
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    model = small()
    with pytest.warns(UserWarning, match=r"`PhaseSwitch\(ramp=3\)` does not end.*3 epochs"):
        switched_on(model, keras_atinet.PhaseSwitch(at=0.4, ramp=np.int64(3), reset=()), 5)
    assert model.distillation_share == 0.75
    capsys.readouterr()
    model.fit(images, targets, verbose=0)
    assert "stays at 0.75" in capsys.readouterr().out and model.distillation_share == 0.75


# What becomes of variables is tested on each, by the switch that resets the attention.
@pytest.mark.one_backend
def test_all_starts_anew(small, batch, values):
    """As in the authors' code: heads too, the whole optimizer, and the losses that DWA has seen."""
    images, targets = batch
    model = small(tasks=("depth", "normal"), balancer="dwa")
    model.fit(
        images,
        targets,
        epochs=3,
        batch_size=2,
        verbose=0,
        callbacks=[keras_atinet.PhaseSwitch(at=1)],
    )
    assert int(model.optimizer.iterations) == 6 and values([model.balancer.last_losses])[0].all()
    model.optimizer.learning_rate = 5e-3
    before = values(model.trainable_variables)
    switch = keras_atinet.PhaseSwitch(at=0, reset=("attention", "heads"), restart="all")
    assert switched_on(model, switch, 1) == [1]
    rate = np.float32(5e-3)
    for variable in model.optimizer.variables:
        array = keras.ops.convert_to_numpy(variable)
        assert (array == (rate if variable.name == "learning_rate" else 0)).all()
    assert not values([model.balancer.last_losses])[0].any()
    np.testing.assert_array_equal(values([model.balancer.current_weights])[0], [1, 1])
    reset = {
        id(v)
        for kind in ("attention", "heads")
        for m in model.module_layers(kind)
        for v in m.variables
    }
    for variable, old in zip(model.trainable_variables, before, strict=True):
        if variable.name == "kernel":
            same = np.array_equal(*values([variable]), old)
            assert same != (id(variable) in reset), variable.path


# What `fit` adds to its callbacks.
@pytest.mark.one_backend
def test_fit_leaves_trained_attention_alone(small, batch, values, capsys, tmp_path):
    """Weights as from a published file, and those of a first phase that was saved."""
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    random = np.random.default_rng(0)
    model = small(optimizer=keras.optimizers.SGD(0.0))
    for variable in model.variables:
        variable.assign(random.uniform(0.5, 1.5, variable.shape))
    model.distillation_share = 1
    before = values(model.trainable_variables)
    model.fit(images, targets, epochs=2, verbose=0)
    for old, new in zip(before, values(model.trainable_variables), strict=True):
        np.testing.assert_array_equal(old, new)
    assert "ATINet" not in capsys.readouterr().out

    model.distillation_active = False
    for variable, array in zip(model.trainable_variables, before, strict=True):
        variable.assign(array)
    model.fit(images, targets, epochs=2, verbose=0)
    for old, new in zip(before, values(model.trainable_variables), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not model.distillation_active
    (line,) = capsys.readouterr().out.splitlines()
    assert "distillation stays off" in line and "callbacks=[keras_atinet.PhaseSwitch()]" in line

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.fit(images, targets, epochs=2, verbose=0)
    assert not loaded.distillation_active
    # A training that goes on says so, or has a callback that does.
    loaded.fit(images, targets, initial_epoch=1, epochs=2, verbose=0)
    assert loaded.distillation_active
    loaded.distillation_active = False
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    loaded.fit(images, targets, epochs=2, verbose=0, callbacks=[backup])
    assert loaded.distillation_active


def test_fits_of_one_epoch_have_no_first_phase(small, batch):
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    model = small()
    with pytest.warns(UserWarning, match=r"`fit\(epochs=1\)`.*no first phase") as record:
        for _ in range(2):
            model.fit(images, targets, epochs=1, verbose=0)
    assert len([w for w in record if "first phase" in str(w.message)]) == 1
    assert model.distillation_active


def test_learning_rates_are_the_users(small, batch):
    """Set by callbacks, logged and read as with a plain optimizer."""
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    user = keras.optimizers.Adam(1e-2)
    model = small(optimizer=user)
    halve = keras.callbacks.LearningRateScheduler(lambda epoch: 1e-2 / 2**epoch)
    history = model.fit(images, targets, epochs=2, verbose=0, callbacks=[halve]).history
    np.testing.assert_allclose(history["learning_rate"], [1e-2, 5e-3])
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=1e9)
    history = model.fit(images, targets, epochs=3, verbose=0, callbacks=[plateau]).history
    np.testing.assert_allclose(history["learning_rate"], [5e-3, 5e-3, 5e-4], rtol=1e-6)
    assert float(user.learning_rate) == float(model.optimizer.learning_rate)
    assert int(model.optimizer.iterations) == int(user.iterations) == 5


def test_swapped_averages_meet_the_switch(small, batch, values):
    """What the switch resets are the weights, not the averages that stand in for them."""
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    model = small(optimizer=keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.5))
    reset = [v for layer in model.module_layers("attention") for v in layer.trainable_variables]
    noted = []

    class Note(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            noted.append(values(reset))

    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    switch = keras_atinet.PhaseSwitch(at=0.5, seed=3)
    model.fit(images, targets, epochs=2, verbose=0, callbacks=[switch, swap, Note()])
    other = small()
    switched_on(other, keras_atinet.PhaseSwitch(at=0, seed=3), 1)
    expected = [v for layer in other.module_layers("attention") for v in layer.trainable_variables]
    for array, weight in zip(noted[1], values(expected), strict=True):
        np.testing.assert_array_equal(array, weight)
    assert all(np.isfinite(array).all() for array in values(model.trainable_variables))
    # Of the distillation, which is off in the first epoch, no average of zeros is left.
    kernels = [v for v in model.get_layer("distillation").weights if v.name == "kernel"]
    assert all(array.any() for array in values(kernels))


def test_groups_of_weights(small, batch, values):
    """Each has its own learning rate, and weight decay leaves a distillation that is off alone."""
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    multipliers = {"attention": 1e-30, "heads": 2.0}
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.5)
    model = small(optimizer=optimizer, learning_rate_multipliers=multipliers)
    layers = {
        "distillation": [model.get_layer("distillation")],
        **{kind: model.module_layers(kind) for kind in multipliers},
    }
    groups = {
        id(variable): name
        for name, members in layers.items()
        for layer in members
        for variable in layer.trainable_variables
    }
    assert set(model.optimizer_groups()) == set(layers)
    before = values(model.trainable_variables)
    model.fit(images, targets, verbose=0, callbacks=[keras_atinet.PhaseSwitch(at=1)])
    after = values(model.trainable_variables)
    for variable, old, new in zip(model.trainable_variables, before, after, strict=True):
        if groups.get(id(variable)) in ("attention", "distillation"):
            np.testing.assert_allclose(new, old, rtol=0, atol=1e-30)
        elif variable.name in ("kernel", "gamma"):
            assert not np.array_equal(new, old), variable.path
    assert model.get_compile_config()["learning_rate_multipliers"] == multipliers
    with pytest.raises(ValueError, match=r"'attention', 'distillation', 'heads'.*encoder"):
        small(learning_rate_multipliers={"encoder": 0.1})


def test_compiling_again_keeps_the_users_optimizer(small, batch):
    images, targets = batch[0], {"depth": batch[1]["depth"]}
    user = keras.optimizers.Adam(1e-2)
    model = small(optimizer=user)
    model.train_on_batch(images, targets)
    optimizer = model.optimizer
    for given in (user, optimizer):
        model.compile(given, metrics={}, run_eagerly=model.run_eagerly)
        assert model.optimizer is optimizer and int(optimizer.iterations) == 1
        config = model.get_compile_config()["optimizer"]
        assert type(keras.saving.deserialize_keras_object(config)) is type(user)
    model.compile("sgd", metrics={})
    assert model.optimizer is not optimizer and int(model.optimizer.iterations) == 0
