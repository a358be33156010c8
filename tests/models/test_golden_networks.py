"""The networks against float64 outputs of the published architectures."""

import keras
import numpy as np
import pytest

import keras_atinet

# At full size; on all backends with KERAS_ATINET_TEST_ALL=1.
pytestmark = pytest.mark.one_backend
NETWORKS = {
    "atinet": lambda: keras_atinet.ATINet(input_shape=(64, 96, 3)),
    "mtan": lambda: keras_atinet.MTAN(input_shape=(64, 96, 3)),
    "split_deep": lambda: keras_atinet.Split(input_shape=(64, 96, 3), deep=True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_equal_golden(name, golden_network):
    specification, expected, weights = golden_network(name)
    model = NETWORKS[name]()
    keras_atinet.load_torch_checkpoint(model, weights)
    if name == "atinet":
        model.distillation_active = True
    images = np.random.RandomState(0).uniform(0, 1, (2, 64, 96, 3)).astype("float32")

    trainable = sum(np.prod(variable.shape) for variable in model.trainable_variables)
    assert trainable == specification["parameters"]
    bounds = {"eval": 1e-4, "train": 5e-2 if name == "split_deep" else 5e-3}
    for mode, bound in bounds.items():
        outputs = model(images, training=mode == "train")
        for task, output in outputs.items():
            output = keras.ops.convert_to_numpy(
                keras.ops.log_softmax(output) if task == "segmentation" else output
            )
            difference = np.abs(output[:, ::4, ::4] - expected[f"{mode}_{task}"])
            assert difference.mean() < bound, (mode, task)
