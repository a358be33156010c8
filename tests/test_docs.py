import re
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_atinet import balancing

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def text():
    return (DOCS / "balancing.md").read_text()


def test_every_balancer_is_in_a_table(text):
    rows = dict(re.findall(r"^\| `(\w+)[^|]*\| ([^|]*) \|", text, flags=re.M))
    for key, kind in balancing.BALANCERS.items():
        assert rows.pop(kind.__name__) == f'`"{key}"`', kind
    assert set(rows) == {"Fixed", "GradientBalancer"}


def test_a_balancer_of_your_own(text):
    (code,) = re.findall(r"<!-- tested -->\n```python\n(.*?)```", text, flags=re.S)
    assert len(code.splitlines()) <= 30
    names = {}
    exec(code, names)
    balancer = names["EqualLengths"](momentum=0.5, over="bottleneck")
    balancer.build((3,))
    gram = np.diag([4.0, 16.0, 0.0]).astype("float32")
    present = np.array([1, 1, 0], "float32")
    tensors = [keras.ops.convert_to_tensor(array) for array in (gram, present, present)]
    # (1 + mean of 2 and 4) / 2 = 2.
    weights = keras.ops.convert_to_numpy(balancer.gradient_weights(*tensors))
    np.testing.assert_allclose(weights, [1, 0.5, 0])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(balancer))
    assert again.get_config() == balancer.get_config()
