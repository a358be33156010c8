"""On PyTorch and JAX the command line does without TensorFlow where it is installed.

It runs here as a script of its own, which imports the package after it has read its arguments.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import pytest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="TensorFlow is the backend"
)
# A network that is compiled quickly, without what Keras and PyTorch import if it is there.
SCRIPT = """
import sys

for name in ("matplotlib", "pandas", "sklearn"):
    sys.modules[name] = None
import keras_atinet
from keras_atinet import cli, deferral

assert not hasattr(keras_atinet, "ATINet")
complete = deferral.complete

def complete_with_small():
    complete()
    from conftest import Small
    from keras_atinet import runs

    runs.MODELS["mtan"] = Small

deferral.complete = complete_with_small
assert cli.main(sys.argv[1:]) == 0
from keras_atinet import ATINet, data, load_torch_checkpoint
found = [name for name in sys.modules if name.split(".")[0] == "tensorflow"]
assert not found, found
"""
TINY = ["train", "--model", "mtan", "--tasks", "depth", "--image-size", "32", "32"]
TINY += ["--filters", *"11111", "--num-samples", "4", "--epochs", "1", "--verbose", "0"]


def test_a_training_imports_no_tensorflow(tmp_path):
    assert importlib.util.find_spec("tensorflow")
    script = tmp_path / "keras-atinet"
    script.write_text(SCRIPT)
    backend, small = keras.backend.backend(), pathlib.Path(__file__).parents[1] / "training"
    path = os.pathsep.join([str(small), os.environ.get("PYTHONPATH", "")])
    process = subprocess.run(
        [sys.executable, script, *TINY, "--out", tmp_path / "run", "--backend", backend],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "tensorflow" not in process.stderr.lower()
