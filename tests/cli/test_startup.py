"""What does not need Keras is done before it is imported."""

import os
import subprocess
import sys

import pytest

from keras_atinet import deferral

pytestmark = pytest.mark.backend_free
# As the script that pip writes, with several commands in one process.
SCRIPT = """
import sys
from keras_atinet.cli import main

HEAVY = {"keras", "numpy", "tensorflow", "jax", "torch"}
for line in sys.stdin.read().splitlines():
    try:
        assert main(line.split()) == 2, line
    except SystemExit:
        pass
    assert not HEAVY & set(sys.modules), line
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
evaluate --model none
predict none.png --model none --out none
train --data none
"""


def test_wrong_arguments_and_help_import_no_keras(tmp_path):
    script = tmp_path / "keras-atinet"
    script.write_text(SCRIPT)
    process = subprocess.run(
        [sys.executable, script], input=LINES, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


class Imported(Exception):
    """Raised instead of the import, with the backend that it would take."""


@pytest.mark.parametrize(
    ("arguments", "backend"),
    [("info --backend jax", "jax"), ("export . --format torch", "torch"), ("info", "tensorflow")],
)
def test_then_keras_is_imported_with_the_backend(arguments, backend, monkeypatch, run_cli):
    def complete():
        raise Imported(os.environ["KERAS_BACKEND"])

    monkeypatch.setattr(deferral, "deferred", True)
    monkeypatch.setattr(deferral, "complete", complete)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.delitem(sys.modules, "keras")
    with pytest.raises(Imported, match=backend):
        run_cli(*arguments.split())


def test_a_backend_that_is_none_is_refused(monkeypatch, run_cli, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "pytorch")
    assert run_cli("info") == 2
    assert "KERAS_BACKEND must be one of" in capsys.readouterr().err
