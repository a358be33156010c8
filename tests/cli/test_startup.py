"""What does not need Keras is done before it is imported."""

import ast
import os
import pathlib
import subprocess
import sys

import keras
import pytest

import keras_atinet

pytestmark = pytest.mark.one_backend
# As the script that pip writes, with several commands in one process.
SCRIPT = """
import sys
from keras_atinet.cli import main

HEAVY = {"keras", "numpy", "tensorflow", "jax", "torch"}
for line in sys.stdin.read().splitlines():
    try:
        main(line.split())
    except SystemExit:
        pass
    assert not HEAVY & set(sys.modules), line

backend = sys.argv[1]
assert main(["info", "none.keras", "--backend", backend]) == 2
import keras, keras_atinet
assert keras.backend.backend() == backend
print(*vars(keras_atinet))
"""
LINES = """

--help
--version
data
data inspect --help
trian
train --help
train --epochs 0
train --modle atinet
train --model atinte
reproduce --help
export --format onx
"""


def test_wrong_arguments_and_help_import_no_keras(tmp_path):
    script = tmp_path / "keras-atinet"
    script.write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    process = subprocess.run(
        [sys.executable, script, keras.backend.backend()],
        input=LINES,
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr.splitlines()[-1].startswith("keras-atinet: error: There is no model")
    # Afterwards everything is there that a plain import gives.
    tree = ast.parse(pathlib.Path(keras_atinet.__file__).read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in nodes for alias in node.names}
    assert "ATINet" in names and names <= set(process.stdout.splitlines()[-1].split())
