"""An optimizer in groups, beside optimizers of the user's class driven by hand."""

import keras
import numpy as np
import pytest

from keras_atinet.training.optimizer import (
    GroupedOptimizer,
    LossScaleOptimizer,
    OptimizerGroup,
    group_optimizer,
)

SHAPES = {"kernel": (3, 3, 2, 4), "bias": (4,), "matrix": (5, 3), "scale": (3,)}
optimizers = keras.optimizers
DECAY = {"weight_decay": 0.1}
schedule = optimizers.schedules.ExponentialDecay(0.01, decay_steps=2, decay_rate=0.8)
CONFIGURATIONS = {
    "adam": lambda: optimizers.Adam(0.01),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: optimizers.AdamW(0.01, **DECAY),
    "nadam": lambda: optimizers.Nadam(0.01),
    "lamb": lambda: optimizers.Lamb(0.01, **DECAY),
    "adamax": lambda: optimizers.Adamax(0.01),
    "adafactor": lambda: optimizers.Adafactor(0.01),
    "adagrad": lambda: optimizers.Adagrad(0.01),
    "adadelta": lambda: optimizers.Adadelta(0.5),
    "ftrl": lambda: optimizers.Ftrl(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.9, centered=True),
    "sgd": lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True, **DECAY),
    "lion": lambda: optimizers.Lion(0.01, **DECAY),
    "ema": lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
    "overwriting ema": lambda: optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2),
    "schedule": lambda: optimizers.Adam(schedule),
    "decaying schedule": lambda: optimizers.AdamW(schedule, **DECAY),
    "clipped by norm": lambda: optimizers.Adam(0.01, clipnorm=0.5),
    "clipped by value": lambda: optimizers.SGD(0.01, clipvalue=0.5),
    "accumulating": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "static loss scale": lambda: optimizers.SGD(0.01, loss_scale_factor=8.0),
}
if keras.version() >= "3.13":  # Before, it fails on TensorFlow.
    CONFIGURATIONS["muon"] = lambda: optimizers.Muon(0.01)
if hasattr(optimizers, "ScheduleFreeAdamW"):
    CONFIGURATIONS["schedule-free adamw"] = lambda: optimizers.ScheduleFreeAdamW(0.01, **DECAY)
CLIPPED = {
    "clipped": lambda: optimizers.Adam(0.01, global_clipnorm=0.5),
    "clipped sgd": lambda: optimizers.SGD(0.1, global_clipnorm=0.5),
    "clipped, accumulating": lambda: optimizers.SGD(
        0.1, global_clipnorm=0.5, gradient_accumulation_steps=2
    ),
    "clipped, scaled": lambda: optimizers.SGD(0.1, global_clipnorm=0.5, loss_scale_factor=8.0),
    "clipped, scaled, accumulating": lambda: optimizers.SGD(
        0.1, global_clipnorm=0.5, loss_scale_factor=8.0, gradient_accumulation_steps=3
    ),
}
BEFORE, AFTER = 3, 4
TRACED = {}


def make_variables():
    random = np.random.default_rng(0)
    return [
        keras.Variable(random.normal(size=shape).astype("float32"), name=name)
        for name, shape in SHAPES.items()
    ]


def gradients(step):
    random = np.random.default_rng([1, step])
    return [random.normal(size=shape).astype("float32") for shape in SHAPES.values()]


@pytest.fixture(autouse=True)
def traced():
    """The steps that TensorFlow has traced, one for each optimizer; restarts need no other."""
    TRACED.clear()
    yield
    TRACED.clear()


def take_step(optimizer, variables, grads):
    grads = [keras.ops.convert_to_tensor(gradient) for gradient in grads]
    if not optimizer.built:
        optimizer.build(variables)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if id(optimizer) not in TRACED:
            step = tf.function(lambda grads: optimizer.apply(grads, variables))
            TRACED[id(optimizer)] = step, optimizer
        TRACED[id(optimizer)][0](grads)
        return
    if keras.backend.backend() == "torch":
        optimizer.apply(grads, variables)
        return
    state = [v.value for v in optimizer.variables], grads, [v.value for v in variables]
    new_variables, new_state = optimizer.stateless_apply(*state)
    changed = [*variables, *optimizer.variables]
    for variable, value in zip(changed, [*new_variables, *new_state], strict=True):
        variable.assign(value)


def arrays(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def check_equal(ours, expected, atol=1e-6):
    for one, other in zip(arrays(ours), arrays(expected), strict=True):
        assert np.isfinite(other).all()
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


def in_groups(optimizer, variables, is_on=None, multipliers=None):
    """The first two variables are the group `front`."""
    return GroupedOptimizer(optimizer, {"front": OptimizerGroup(variables[:2], is_on)}, multipliers)


def new_front(make, back):
    """What steps a restarted group: new, at the rate of the optimizer of the others."""
    optimizer = make()
    optimizer.learning_rate = lambda: back.learning_rate
    return optimizer


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_restarted_group_steps_as_under_a_new_optimizer(name):
    make = CONFIGURATIONS[name]
    ours, plain, by_hand = make_variables(), make_variables(), make_variables()
    optimizer, whole, front, back = in_groups(make(), ours), make(), make(), make()
    for step in range(BEFORE):
        grads = gradients(step)
        take_step(optimizer, ours, grads)
        take_step(whole, plain, grads)
        take_step(front, by_hand[:2], grads[:2])
        take_step(back, by_hand[2:], grads[2:])
        check_equal(ours, plain)
    assert int(optimizer.iterations) == int(whole.iterations)

    optimizer.restart(["front"])
    front = new_front(make, back)
    front.build(by_hand[:2])
    front._iterations.assign(BEFORE % (back.gradient_accumulation_steps or 1))
    for step in range(BEFORE, BEFORE + AFTER):
        grads = gradients(step)
        take_step(optimizer, ours, grads)
        take_step(front, by_hand[:2], grads[:2])
        take_step(back, by_hand[2:], grads[2:])
        check_equal(ours, by_hand)
    optimizer.finalize_variable_values(ours)
    front.finalize_variable_values(by_hand[:2])
    back.finalize_variable_values(by_hand[2:])
    check_equal(ours, by_hand)
    # What was compared has moved, and not as if nothing had been restarted.
    assert all(np.abs(a - b).max() > 1e-4 for a, b in zip(*map(arrays, (ours, plain)), strict=True))


@pytest.mark.parametrize("name", CLIPPED)
def test_gradients_are_clipped_by_the_norm_of_all(name):
    make = CLIPPED[name]
    ours, plain = make_variables(), make_variables()
    optimizer, whole = in_groups(make(), ours), make()
    for step in range(6):
        grads = gradients(step)
        assert sum((g**2).sum() for g in grads) > 1  # or nothing would be clipped
        take_step(optimizer, ours, grads)
        take_step(whole, plain, grads)
        check_equal(ours, plain)
        if step + 1 == (whole.gradient_accumulation_steps or 2) and "adam" not in whole.name:
            optimizer.restart()  # of nothing but accumulated gradients, which are 0 now


def test_a_first_step_is_one_learning_rate_long():
    """By the equation of Adam: a gradient that has not changed its sign moves a weight by lr."""
    ours = make_variables()
    optimizer = in_groups(optimizers.Adam(0.01, epsilon=1e-12), ours)
    for step in range(10):
        take_step(optimizer, ours, gradients(step))
    optimizer.restart(["front"])
    before = arrays(ours)
    take_step(optimizer, ours, gradients(10))
    moved = [np.abs(new - old) for new, old in zip(arrays(ours), before, strict=True)]
    for difference in moved[:2]:
        np.testing.assert_allclose(difference, 0.01, rtol=1e-4)
    assert not np.allclose(moved[2], 0.01, rtol=0.1)


@pytest.mark.parametrize(
    "name", ["adam", "ftrl", "sgd", "ema", "accumulating", *CONFIGURATIONS.keys() & {"muon"}]
)
def test_a_group_that_is_off_is_not_stepped(name):
    make = CONFIGURATIONS[name]
    ours, plain = make_variables(), make_variables()
    on = keras.Variable(0.0)
    optimizer, back = in_groups(make(), ours, lambda: on > 0), make()
    before = arrays(ours[:2])
    for step in range(4):
        take_step(optimizer, ours, [*map(np.zeros_like, gradients(step)[:2]), *gradients(step)[2:]])
        take_step(back, plain[2:], gradients(step)[2:])
    optimizer.finalize_variable_values(ours[:2])
    for array, expected in zip(arrays(ours[:2]), before, strict=True):
        np.testing.assert_array_equal(array, expected)
    check_equal(ours[2:], plain[2:])
    # Then as a new optimizer, without a restart.
    on.assign(1.0)
    front = make()
    for step in range(4, 8):
        take_step(optimizer, ours, gradients(step))
        take_step(front, plain[:2], gradients(step)[:2])
    check_equal(ours[:2], plain[:2])


@pytest.mark.parametrize("name", ["nadam", "ftrl", "schedule"])
def test_all_start_anew(name):
    """The learning rate stays, but for a schedule, which begins again."""
    ours, plain = make_variables(), make_variables()
    optimizer, new = in_groups(CONFIGURATIONS[name](), ours), CONFIGURATIONS[name]()
    for step in range(3):
        take_step(optimizer, ours, gradients(step))
    if name != "schedule":
        optimizer.learning_rate = new.learning_rate = 0.005
    optimizer.restart()
    assert int(optimizer.iterations) == 0
    assert float(optimizer.learning_rate) == float(new.learning_rate)
    for variable, value in zip(plain, arrays(ours), strict=True):
        variable.assign(value)
    for step in range(3, 6):
        take_step(optimizer, ours, gradients(step))
        take_step(new, plain, gradients(step))
    check_equal(ours, plain)


def test_learning_rates_of_groups():
    ours, plain = make_variables(), make_variables()
    user = optimizers.SGD(0.1, **DECAY)
    optimizer = in_groups(user, ours, multipliers={"front": 10.0})
    whole, front = optimizers.SGD(0.1, **DECAY), optimizers.SGD(1.0, **DECAY)
    for step in range(4):
        if step == 2:
            optimizer.learning_rate = whole.learning_rate = 0.01
            front.learning_rate = 0.1
        take_step(optimizer, ours, gradients(step))
        take_step(front, plain[:2], gradients(step)[:2])
        take_step(whole, plain[2:], gradients(step)[2:])
        check_equal(ours, plain, 2e-6)
    assert float(user.learning_rate) == float(optimizer.learning_rate) == np.float32(0.01)
    for wrong in ({"back": 1.0}, {"front": 0.0}, {"front": "high"}):
        with pytest.raises(ValueError, match=r"`learning_rate_multipliers`.*\['front'\].*Received"):
            in_groups(optimizers.SGD(0.1), ours, multipliers=wrong)


def test_a_group_with_a_rate_and_a_decay_of_its_own():
    """Its kernels decay by its own weight decay, whatever the user's optimizer does."""
    ours, plain = make_variables(), make_variables()
    user = optimizers.SGD(0.1, momentum=0.9, **DECAY)
    user.exclude_from_weight_decay(var_names=["kernel"])
    groups = {"front": OptimizerGroup(ours[:2], multiplier=4.0, weight_decay=0.5)}
    optimizer = GroupedOptimizer(user, groups)
    # The kernel, the bias, and all others.
    by_hand = [
        optimizers.SGD(rate, momentum=0.9, weight_decay=decay)
        for rate, decay in ((0.4, 0.5), (0.4, None), (0.1, 0.1))
    ]
    parts = slice(0, 1), slice(1, 2), slice(2, 4)
    for step in range(4):
        grads = gradients(step)
        if step == 2:
            optimizer.restart(["front"])
            by_hand[:2] = [type(old).from_config(old.get_config()) for old in by_hand[:2]]
        if step == 3:
            optimizer.weight_decay = by_hand[2].weight_decay = 0.2
            TRACED.clear()  # It is in Python.
        take_step(optimizer, ours, grads)
        for one, part in zip(by_hand, parts, strict=True):
            take_step(one, plain[part], grads[part])
        check_equal(ours, plain, 5e-6)
    assert optimizer.weight_decay == 0.2
    optimizer.multipliers = {"front": 1.0}
    assert float(optimizer._parts[1].optimizer.learning_rate) == np.float32(0.1)


def test_weights_without_decay():
    """What `exclude_from_weight_decay` names, which no config has; before and after building."""
    ours = make_variables()
    user = optimizers.SGD(0.1, weight_decay=0.5)
    user.exclude_from_weight_decay(var_names=["bias"])
    optimizer = in_groups(user, ours)
    before = arrays(ours)
    zeros = [np.zeros_like(array) for array in before]
    take_step(optimizer, ours, zeros)
    optimizer.restart(["front"])
    take_step(optimizer, ours, zeros)
    optimizer.exclude_from_weight_decay(var_names=["bias", "kernel"])
    TRACED.clear()  # It is in Python, where a traced step does not look again.
    take_step(optimizer, ours, zeros)
    shares = [0.95**2, 1, 0.95**3, 0.95**3]
    for array, old, share in zip(arrays(ours), before, shares, strict=True):
        np.testing.assert_allclose(array, share * old, rtol=1e-5)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_state_of_an_optimizer_without_groups_is_taken(name):
    make = CONFIGURATIONS[name]
    ours, plain = make_variables(), make_variables()
    whole = make()
    for step in range(BEFORE):
        take_step(whole, plain, gradients(step))
    store = {}
    whole.save_own_variables(store)
    for variable, value in zip(ours, arrays(plain), strict=True):
        variable.assign(value)
    optimizer = in_groups(make(), ours)
    optimizer.build(ours)
    optimizer.load_own_variables(store)
    for step in range(BEFORE, BEFORE + AFTER):
        take_step(optimizer, ours, gradients(step))
        take_step(whole, plain, gradients(step))
    check_equal(ours, plain)


@pytest.mark.parametrize("scaled", [False, True])
def test_state_from_before_the_first_step(scaled):
    """On JAX a file may hold an optimizer that has no weights yet."""
    ours = make_variables()
    groups, store = {"front": OptimizerGroup(ours[:2])}, {}
    saved = group_optimizer(optimizers.Adam(0.25), groups, scale_loss=scaled)
    saved.save_own_variables(store)
    loaded = group_optimizer(optimizers.Adam(0.1), groups, scale_loss=scaled)
    loaded.build(ours)
    loaded.load_own_variables(store)
    if not scaled:
        assert float(loaded.learning_rate) == 0.25
    assert int(loaded.iterations) == 0


def test_state_that_does_not_fit_is_refused():
    ours = make_variables()
    other, store = optimizers.SGD(0.1, momentum=0.9), {}
    other.build(make_variables())
    other.save_own_variables(store)
    optimizer = in_groups(optimizers.Adam(0.1), ours)
    optimizer.build(ours)
    with pytest.raises(ValueError, match=r"state of 6 variables, which does not.*skip_mismatch"):
        optimizer.load_own_variables(store)


def test_saved_state_is_what_it_was():
    ours, again = make_variables(), make_variables()
    optimizer, loaded = (in_groups(optimizers.Nadam(0.01), v) for v in (ours, again))
    for step in range(2):
        take_step(optimizer, ours, gradients(step))
    optimizer.restart(["front"])
    take_step(optimizer, ours, gradients(2))
    store = {}
    optimizer.save_own_variables(store)
    loaded.build(again)
    loaded.load_own_variables(store)
    for variable, value in zip(again, arrays(ours), strict=True):
        variable.assign(value)
    for step in range(3, 5):
        take_step(optimizer, ours, gradients(step))
        take_step(loaded, again, gradients(step))
    check_equal(ours, again, 0)


@pytest.mark.parametrize("scaled", [False, True])
def test_losses_are_scaled_around_it_and_a_step_may_overflow(scaled):
    ours, plain = make_variables(), make_variables()

    def make():
        return optimizers.Adam(0.01, global_clipnorm=0.5, loss_scale_factor=None)

    user = optimizers.LossScaleOptimizer(make(), initial_scale=16.0) if scaled else make()
    groups = {"front": OptimizerGroup(ours[:2])}
    optimizer = group_optimizer(user, groups, scale_loss=True)
    assert isinstance(optimizer, LossScaleOptimizer)
    whole = optimizers.LossScaleOptimizer(make(), initial_scale=16.0 if scaled else 2.0**15)
    for step in range(5):
        grads = gradients(step)
        if step == 2:
            grads[0][0, 0, 0, 0] = np.inf
        take_step(optimizer, ours, grads)
        take_step(whole, plain, grads)
        check_equal(ours, plain)
    assert int(optimizer.iterations) == int(whole.iterations) == 4
    assert float(optimizer.scale_loss(1.0)) == float(whole.scale_loss(1.0))
    user.learning_rate = 0.5
    assert float(optimizer.learning_rate) == 0.5
    # The scale is the outer one's, the rest the inner one's, whichever way it was saved.
    store = {}
    whole.save_own_variables(store)
    fresh = group_optimizer(make(), {"front": OptimizerGroup(plain[:2])}, scale_loss=True)
    fresh.build(plain)
    fresh.load_own_variables(store)
    assert float(fresh.scale_loss(1.0)) == float(whole.scale_loss(1.0))


@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_of_a_group_that_is_off_may_be_anything(scaled):
    """They are in no norm, and overflow nothing."""
    ours, plain = make_variables(), make_variables()
    on = keras.Variable(0.0)
    groups = {"front": OptimizerGroup(ours[:2], lambda: on > 0)}
    optimizer = group_optimizer(optimizers.SGD(0.1, global_clipnorm=0.5), groups, scale_loss=scaled)
    whole = optimizers.SGD(0.1, global_clipnorm=0.5)
    whole = optimizers.LossScaleOptimizer(whole) if scaled else whole
    before = arrays(ours[:2])
    for step in range(3):
        grads = gradients(step)
        take_step(optimizer, ours, [np.full_like(grads[0], np.nan), grads[1] * np.inf, *grads[2:]])
        take_step(whole, plain[2:], grads[2:])
    check_equal(ours[2:], plain[2:])
    for array, expected in zip(arrays(ours[:2]), before, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_a_static_scale_is_off_inside_a_dynamic_one():
    ours, plain = make_variables(), make_variables()
    optimizer = group_optimizer(
        optimizers.SGD(0.1, loss_scale_factor=64.0),
        {"front": OptimizerGroup(ours[:2])},
        scale_loss=True,
    )
    whole = optimizers.LossScaleOptimizer(optimizers.SGD(0.1, loss_scale_factor=64.0))
    take_step(optimizer, ours, gradients(0))
    take_step(whole, plain, gradients(0))
    check_equal(ours, plain)


def test_averages_are_found_by_the_callback_that_swaps_them():
    ours = make_variables()
    optimizer = in_groups(optimizers.Adam(0.01, use_ema=True), ours)
    take_step(optimizer, ours, gradients(0))
    check_equal(optimizer._model_variables_moving_average, ours, 0)
    without = in_groups(optimizers.Adam(0.01), make_variables())
    assert not hasattr(without, "_model_variables_moving_average")


def test_it_is_made_once_for_an_optimizer_of_the_user():
    ours = make_variables()
    groups = {"front": OptimizerGroup(ours[:2])}
    user = optimizers.Adam(0.01)
    optimizer = group_optimizer(user, groups)
    assert group_optimizer(user, groups, current=optimizer) is optimizer
    assert group_optimizer(optimizer, groups, current=optimizer) is optimizer
    assert group_optimizer(optimizers.Adam(0.01), groups, current=optimizer) is not optimizer
    assert group_optimizer(user, {}) is user
    # Of whatever is scaled around it, the part that asks for groups is ours.
    scaled = group_optimizer(optimizer, groups, scale_loss=True, current=optimizer)
    assert isinstance(scaled, LossScaleOptimizer) and scaled.inner_optimizer is optimizer
    assert group_optimizer(user, groups, scale_loss=True, current=scaled) is scaled
    around = optimizers.LossScaleOptimizer(optimizer)
    found = group_optimizer(around, groups, current=optimizer)
    assert isinstance(found, LossScaleOptimizer) and found.inner_optimizer is optimizer
    # One of another network is taken out of its groups, and refused if it has been used there.
    other = {"back": OptimizerGroup(ours[2:])}
    taken = group_optimizer(optimizer, other)
    assert taken is not optimizer
    taken.build(ours)
    with pytest.raises(ValueError, match="has been built"):
        group_optimizer(taken, groups).build(ours)
    # A config is that of the user's optimizer.
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is type(user) and again.get_config() == user.get_config()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(scaled))
    assert type(again) is optimizers.LossScaleOptimizer
    assert type(again.inner_optimizer) is type(user)


def test_settings_are_those_of_the_users_optimizer():
    ours = make_variables()
    user = optimizers.AdamW(0.01, weight_decay=0.5, global_clipnorm=2.0)
    optimizer = in_groups(user, ours)
    optimizer.build(ours)
    assert optimizer.weight_decay == 0.5 and optimizer.global_clipnorm == 2.0
    assert optimizer.use_ema is False and optimizer.gradient_accumulation_steps is None
    optimizer.weight_decay = 0.25
    assert [part.optimizer.weight_decay for part in optimizer._parts] == [0.25, 0.25]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX's variables share memory")
def test_no_two_variables_share_memory():
    """A train step on a GPU gives its arguments away, each once."""
    ours, plain = make_variables(), make_variables()
    whole, store = optimizers.Nadam(0.01, use_ema=True), {}
    take_step(whole, plain, gradients(0))
    whole.save_own_variables(store)
    optimizer = in_groups(optimizers.Nadam(0.01, use_ema=True), ours)
    optimizer.build(ours)

    def check():
        variables = [*ours, *optimizer.variables]
        places = {variable.value.unsafe_buffer_pointer() for variable in variables}
        assert len(places) == len(variables)

    optimizer.load_own_variables(store)
    check()
    for names in (["front"], None):
        optimizer.restart(names)
        check()


@keras.saving.register_keras_serializable(package="tests")
class OfTwoArguments(optimizers.SGD):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)


def test_errors():
    ours = make_variables()
    user = optimizers.Adam(0.01)
    user.build(ours)
    with pytest.raises(ValueError, match=r"'adam.*' has been built.*from_config"):
        in_groups(user, ours).build(ours)
    with pytest.raises(ValueError, match=r"can be made again.*OfTwoArguments.*factor"):
        in_groups(OfTwoArguments(1), ours).build(ours)
    optimizer = in_groups(optimizers.Adam(0.01), ours)
    optimizer.build(ours[:3])
    with pytest.raises(ValueError, match=r"built without.*\['scale'\].*new optimizer"):
        optimizer.apply([keras.ops.ones((3,))], [ours[3]])
    with pytest.raises(ValueError, match=r"groups \['front'\].*back"):
        optimizer.restart(["back"])


def test_nothing_but_groups_is_trained():
    """All else is frozen: the count of steps goes on, and schedules with it."""
    ours = make_variables()[:2]
    optimizer = in_groups(optimizers.Adam(schedule), ours)
    for step in range(3):
        take_step(optimizer, ours, gradients(step)[:2])
    assert int(optimizer.iterations) == 3
    assert float(optimizer.learning_rate) == pytest.approx(0.01 * 0.8**1.5)


@pytest.mark.one_backend
def test_nothing_to_train_is_no_error():
    optimizer = group_optimizer(optimizers.Adam(), {"frozen": OptimizerGroup([])})
    optimizer.build([])
    optimizer.apply([], [])
