import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)

import tensorflow as tf

from keras_atinet import evaluation
from keras_atinet.training.optimizer import GroupedOptimizer, OptimizerGroup

TASKS = ("depth", "normal")


@pytest.fixture(scope="module")
def strategy():
    # One for all: TensorFlow numbers what the replicas of each new one exchange from 100 on.
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def test_replicas_log_and_train_like_one_device(make, batch, strategy):
    """Two devices with the same images each: losses and updates of one device with half of them.

    With `NashMTL`, whose step depends on the size of the gradients.
    """

    def train(strategy, images, targets):
        with strategy.scope():
            model = make(
                tasks=TASKS,
                balancer="nashmtl",
                metrics={},
                optimizer=keras.optimizers.SGD(0.1),
                run_eagerly=False,
            )
        data = tf.data.Dataset.from_tensors((images, targets))
        data = data.unbatch().batch(len(images))
        logs = model.fit(data, epochs=2, verbose=0).history
        logs["evaluated"] = [model.evaluate(data, verbose=0, return_dict=True)["loss"]]
        with strategy.scope():
            results = evaluation.evaluate(model, data)
        found = sum(values["loss"] for values in results.values())
        np.testing.assert_allclose(found, logs["evaluated"], rtol=1e-5)
        return logs

    images, targets = batch
    targets = {name: targets[name] for name in TASKS}
    doubled = keras.tree.map_structure(lambda x: np.concatenate([x, x]), (images, targets))
    two = train(strategy, *doubled)
    one = train(tf.distribute.get_strategy(), images, targets)
    for name, expected in one.items():
        np.testing.assert_allclose(two[name], expected, rtol=1e-3, err_msg=name)


def test_a_group_is_restarted_on_all_replicas(strategy, values):
    """Two devices, each with half of the gradients, reach the weights of one."""

    def train(strategy):
        with strategy.scope():
            variables = [keras.Variable(np.ones(size, "float32")) for size in (2, 3, 4)]
            optimizer = GroupedOptimizer(
                keras.optimizers.AdamW(0.1), {"front": OptimizerGroup(variables[:1])}
            )
            optimizer.build(variables)
        share = 1.0 / strategy.num_replicas_in_sync

        @tf.function
        def step(scale):
            def replica_step():
                grads = [scale * share * tf.ones(variable.shape) for variable in variables]
                optimizer.apply(grads, variables)

            strategy.run(replica_step)

        for scale in (1.0, -2.0, 0.5):
            step(tf.constant(scale))
        optimizer.restart(["front"])
        step(tf.constant(3.0))
        counts = [part.optimizer.iterations.numpy() for part in optimizer._parts]
        assert counts == [4, 1]
        return values(variables)

    one, two = train(tf.distribute.get_strategy()), train(strategy)
    for found, expected in zip(two, one, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("replica", [0, 1])
def test_a_step_that_replicas_take_is_said_to_be_taken(make, batch, strategy, replica):
    images, targets = batch
    images = images.copy()
    images[3 * replica] = np.nan
    with strategy.scope():
        model = make(tasks=TASKS, metrics={}, run_eagerly=False)
    data = tf.data.Dataset.from_tensors((images, {name: targets[name] for name in TASKS}))
    with pytest.raises(FloatingPointError, match=r"step 1 of epoch 1.*taken on all 2 replicas"):
        model.fit(data.unbatch().batch(4), verbose=0)


def test_steps_cannot_be_skipped_on_replicas(make, strategy):
    with strategy.scope(), pytest.raises(ValueError, match=r"one device only.*2 replicas"):
        make(on_nonfinite="skip")
