import numpy as np
import pytest

import keras_atinet
from keras_atinet.balancing import Fixed


def test_reference(ask):
    objective, weights = ask(Fixed((1, 0.5, 0)), [2.0, 3.0, 4.0])
    assert objective == 3.5
    np.testing.assert_array_equal(weights, [1, 0.5, 0])


@pytest.mark.parametrize("weights", [[1.0, -1.0], [1.0, np.nan], [np.inf, 1.0]])
def test_refuses_weights_that_are_no_weights(weights):
    with pytest.raises(ValueError, match=r"finite and not below 0\. Received: weights=\["):
        Fixed(weights)


def test_refuses_another_number_of_tasks():
    model = keras_atinet.Split(("depth", "normal"), (32, 32, 1), filters=(1, 1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"the 2 tasks\. Received: weights=\[1\.0, 2\.0, 3\.0\]"):
        model.compile("sgd", balancer=Fixed([1, 2, 3]))
