"""The code of the notebooks runs, at a tiny size; what they show is small and of a whole run."""

import json
import pathlib
import re
import shlex

import pytest

import keras_atinet
from keras_atinet import cli

pytest.importorskip("matplotlib")
FOLDER = pathlib.Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# In place of what the cell tagged "parameters" sets.
TINY = {
    "quickstart": {"NUM_ROOMS": 8, "EPOCHS": 1},
    "own_data": {
        **{"NUM_TRAIN": 4, "NUM_TEST": 2, "EPOCHS": 1},
        **{"PRESET": "preset", "ENCODER": None, "FILTERS": (4, 4, 4, 4, 4)},
    },
}
COMMAND = re.compile(r"^!keras-atinet (.*)$", re.MULTILINE)
MAGIC = re.compile(r"^%.*\n", re.MULTILINE)  # how figures are shown


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def command(line):
    assert cli.main(shlex.split(line)) == 0


@pytest.mark.one_backend
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_atinet.prediction.predictor.DEFAULT_PRESET", "preset")
    keras_atinet.Split(input_shape=(32, 32, 3), filters=(4, 4, 4, 4, 4)).save_to_preset("preset")
    names = {"command": command}
    for cell in code_cells(path):
        code = MAGIC.sub("", "".join(cell["source"]))
        code = COMMAND.sub(lambda match: f"command({match[1]!r})", code)
        exec(code, names)
        if "parameters" in cell["metadata"].get("tags", []):
            assert set(TINY[path.stem]) <= set(names)
            names.update(TINY[path.stem])


@pytest.mark.backend_free
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs(path):
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum("image/jpeg" in output.get("data", {}) for output in outputs) >= 2
    # Neither errors nor warnings, nor a path of whoever ran it.
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert not re.search(r"Error|Warning|/(home|root|tmp|Users)/", json.dumps(outputs))
    assert path.stat().st_size < 300_000
