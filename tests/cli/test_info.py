import keras
import pytest

from keras_atinet import runs

PARAMETERS = {
    "ATINet": 45_716_497,
    "MTAN": 44_229_073,
    "PADNet": 45_938_641,
    "Split(deep=True)": 50_807_761,
    "SingleTask for segmentation": 24_981_069,
}


@pytest.mark.one_backend
def test_versions_and_the_sizes_of_networks(run_cli, capsys):
    assert run_cli("info") == 0
    shown = capsys.readouterr().out
    assert keras.version() in shown and keras.backend.backend() in shown
    for name, parameters in PARAMETERS.items():
        assert f"{name:30}{parameters:12,}" in shown


def test_other_models_are_refused(run_cli, tmp_path, capsys):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    assert run_cli("info", tmp_path / "other.keras") == 2
    assert "must be one of `keras_atinet`" in capsys.readouterr().err


@pytest.mark.backend_free
def test_a_run_without_an_epoch(run_cli, tmp_path, capsys):
    command = "keras-atinet reproduce table1 --data rooms --out study"
    settings = {**runs.DEFAULT, "hold_out": 0.1, "epochs": 9}
    runs.Run(tmp_path).create(settings, command)
    assert run_cli("info", tmp_path) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["data"] == "rooms; training 'train', validation 10 % of it, test 'test'"
    assert lines["epochs"] == "0 of 9" and lines["to"] == f"resume     {command}"
