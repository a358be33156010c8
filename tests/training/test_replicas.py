import keras
import numpy as np
import pytest

import keras_atinet

if keras.backend.backend() != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)


def test_replicas_log_and_train_like_one_device():
    """Two devices with the same images each: losses and updates of one device with half of them."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    images = random.random((2, 32, 32, 3), dtype="float32")
    depth = random.uniform(0, 5, (2, 32, 32, 1)).astype("float32")

    def train(strategy, images, depth):
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = keras_atinet.SingleTask("depth", (32, 32, 3), filters=(2, 2, 2, 2, 2))
            model.compile(keras.optimizers.SGD(0.1), metrics={})
        data = tf.data.Dataset.from_tensors((images, {"depth": depth}))
        data = data.unbatch().batch(len(images))
        logs = model.fit(data, epochs=2, verbose=0).history
        logs["evaluated"] = [model.evaluate(data, verbose=0, return_dict=True)["loss"]]
        return logs

    doubled = [np.concatenate([array, array]) for array in (images, depth)]
    two = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), *doubled)
    one = train(tf.distribute.get_strategy(), images, depth)
    for name, expected in one.items():
        np.testing.assert_allclose(two[name], expected, rtol=1e-3, err_msg=name)
