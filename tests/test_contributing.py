"""The examples of CONTRIBUTING.md, and their tests, work and are short."""

import pathlib
import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_atinet import MultiTaskModel, Task, losses, metrics
from keras_atinet.balancing import Balancer
from keras_atinet.layers import ConvBlock
from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.heads import prediction_heads

FILE = pathlib.Path(__file__).parents[1] / "CONTRIBUTING.md"
TEXT = FILE.read_text(encoding="utf-8") if FILE.is_file() else ""
CODE = dict(re.findall(r"<!-- tested: ([^\n]*) -->\n```python\n(.*?)```", TEXT, re.DOTALL))
NAMES = {
    **{"keras": keras, "np": np, "ops": ops, "pytest": pytest, "losses": losses},
    **{"Task": Task, "Balancer": Balancer, "MultiTaskModel": MultiTaskModel, "metrics": metrics},
    **{"ConvBlock": ConvBlock, "prediction_heads": prediction_heads},
    **{"as_encoder": as_encoder, "standardize_arguments": standardize_arguments},
}


@pytest.mark.parametrize("what", ["task", "balancer", "network"])
def test_examples(what, tmp_path):
    code, test = CODE[what], CODE[f"{what} test"]
    assert len((code + test).splitlines()) < 60
    names = dict(NAMES)
    exec(code + test, names)
    (function,) = (value for name, value in names.items() if name.startswith("test_"))
    function(*([tmp_path] if what == "network" else []))
