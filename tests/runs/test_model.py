import keras
import numpy as np
import pytest

from keras_atinet import runs
from keras_atinet.layers import ConvBlock
from keras_atinet.runs.model import get_optimizer


def test_weight_decay_leaves_biases_and_normalization_alone():
    optimizer = get_optimizer({**runs.DEFAULT, "weight_decay": 0.5, "learning_rate": 0.1})
    layer = ConvBlock(2)
    layer.build((1, 4, 4, 3))
    variables = layer.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape, "float32"))
    optimizer.build(variables)
    optimizer.apply([keras.ops.zeros(variable.shape) for variable in variables])
    values = {v.name: float(keras.ops.convert_to_numpy(v).mean()) for v in variables}
    expected = {"kernel": 0.95, "bias": 1, "gamma": 1, "beta": 1}
    assert values == pytest.approx(expected, rel=1e-6)


@pytest.mark.backend_free
def test_without_options_it_is_plain_adam():
    optimizer = get_optimizer(runs.DEFAULT)
    assert type(optimizer).__name__ == "Adam" and optimizer.weight_decay is None
    assert optimizer.gradient_accumulation_steps is None
    assert get_optimizer({**runs.DEFAULT, "accumulate": 4}).gradient_accumulation_steps == 4
