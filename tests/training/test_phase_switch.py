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


@pytest.mark.parametrize("count", [1, 3])
def test_gradients_reach_the_distillation_in_phase_2_only(count, batch, values):
    images, targets = batch
    keras.utils.set_random_seed(3)
    tasks = [
        keras_atinet.SemanticSegmentation(num_classes=5),
        keras_atinet.DepthEstimation(),
        keras_atinet.SurfaceNormals(),
        keras_atinet.DepthEstimation(name="height"),
    ][:count]
    targets = {**targets, "height": targets["depth"]}
    model = keras_atinet.ATINet(tasks, input_shape=(32, 64, 3), filters=(8, 8, 8, 8, 8))
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
def small(make):
    return lambda **arguments: make(keras_atinet.ATINet, tasks=("depth",), metrics={}, **arguments)


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
    model.fit(images, targets, epochs=4, verbose=0, callbacks=[watch])
    assert watch.phases == [False, False, True, True]
    lines = [line for line in capsys.readouterr().out.splitlines() if "PhaseSwitch" in line]
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
    slots = {slot.name: slot for slot in model.optimizer.variables}
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
        # Ten masks for the task, ten ConvBlocks for all.
        assert len(masks) == 10 and len(model.module_layers("attention")) == 20
    for variable, old in zip(model.trainable_variables, before, strict=True):
        new = keras.ops.convert_to_numpy(variable)
        name = variable.path.replace("/", "_")
        momentum = keras.ops.convert_to_numpy(slots[f"{name}_momentum"])
        if id(variable) in reset_ids:
            assert (momentum == 0).all()
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
    slots = {slot.name: slot for slot in model.optimizer.variables}
    for layer in model.module_layers("attention"):
        for variable in layer.trainable_variables:
            average = slots[variable.path.replace("/", "_") + "_average"]
            np.testing.assert_array_equal(*values([average, variable]))


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
            np.testing.assert_allclose(rest[name], expected[stop:], rtol=1e-3, err_msg=name)


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


def test_errors(make, batch):
    images, targets = batch
    with pytest.raises(ValueError, match=r"\[0, 1\].*at=2"):
        keras_atinet.PhaseSwitch(at=2)
    with pytest.raises(ValueError, match=r"attention.*decoder"):
        keras_atinet.PhaseSwitch(reset="decoder")
    model = make(keras_atinet.Split, tasks=("depth",))
    with pytest.raises(TypeError, match=r"`ATINet`.*Split"):
        model.fit(images, targets, verbose=0, callbacks=[keras_atinet.PhaseSwitch()])
